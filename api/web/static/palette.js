// Ctrl K: go to a table or a page by typing a part of its name.
import { onPage } from "./shown.js"

const PAUSE = 120, MOST = 8 // milliseconds after a key; tables that are offered
const box = () => document.querySelector("#palette")
const list = () => box().querySelector("ul")
let waiting, asked = 0

onPage(() => {
  for (const button of document.querySelectorAll("[data-palette]")) {
    button.hidden = false
    button.onclick = open
  }
})

document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k" && box()) {
    event.preventDefault()
    if (!document.querySelector("dialog[open]")) open()
  }
})

function open() {
  const input = box().querySelector("input")
  input.value = ""
  input.oninput = () => { clearTimeout(waiting); waiting = setTimeout(() => offer(input.value), PAUSE) }
  input.onkeydown = move
  box().onclick = event => { if (event.target === box()) box().close() }
  box().showModal()
  offer("")
}

function pages(wanted) {
  const links = [...document.querySelectorAll(".side nav a, [data-key=c]")]
  return links.map(link => ({ name: link.textContent.trim(), href: link.getAttribute("href"), note: "" }))
    .filter(each => each.name.toLowerCase().includes(wanted.toLowerCase()))
}

async function offer(wanted) {
  const number = ++asked
  const query = new URLSearchParams({ limit: MOST, sort: "-updatedAt", ...(wanted.trim() && { q: wanted.trim() }) })
  const response = await fetch(`/api/tables?${query}`).catch(() => undefined)
  const tables = response?.ok ? (await response.json()).items : []
  if (number !== asked) return // another key came since
  const found = [...tables.map(table => ({ name: table.name, href: `/tables/${table.id}`, note: table.slug })), ...pages(wanted)]
  list().replaceChildren(...found.map(item))
  if (!found.length) {
    const none = document.createElement("li")
    none.textContent = box().dataset.none
    list().append(none)
  }
  select(list().querySelector("[role=option]"))
}

function item({ name, href, note }, number) {
  const element = document.createElement("li"), small = document.createElement("small")
  element.id = `palette-${number}`
  element.role = "option"
  element.dataset.href = href
  element.append(name)
  small.textContent = note
  element.append(small)
  element.onclick = () => location.assign(href)
  return element
}

function select(element) {
  for (const each of list().querySelectorAll("[aria-selected=true]")) each.ariaSelected = "false"
  if (!element) return
  element.ariaSelected = "true"
  element.scrollIntoView({ block: "nearest" })
  box().querySelector("input").setAttribute("aria-activedescendant", element.id)
}

function move(event) {
  const selected = list().querySelector("[aria-selected=true]")
  if (event.key === "ArrowDown") select(selected?.nextElementSibling ?? selected)
  else if (event.key === "ArrowUp") select(selected?.previousElementSibling ?? selected)
  else if (event.key === "Enter" && selected) location.assign(selected.dataset.href)
  else return
  event.preventDefault()
}
