// Ctrl K: go to a table or a page, or do something, by typing a part of its name.
import { openLink } from "./forms.js"
import { onPage } from "./shown.js"

const PAUSE = 120, MOST = 8 // milliseconds after a key; tables that are offered
const PAGES = ".side nav a, .person .menu-items > a"
const ACTIONS = "#palette-actions a, .person .menu-items button:not([aria-pressed=true])"
const box = () => document.querySelector("#palette")
const input = () => box().querySelector("input")
const options = () => [...box().querySelectorAll("[role=option]")]
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
  input().value = ""
  input().oninput = () => { clearTimeout(waiting); waiting = setTimeout(offer, PAUSE) }
  input().onkeydown = move
  box().onclick = event => { if (event.target === box()) box().close() }
  box().showModal()
  offer()
}

async function offer() {
  const number = ++asked, wanted = input().value.trim()
  const tables = await named(wanted)
  if (number !== asked) return // another key came since
  const groups = { tables, pages: present(PAGES, wanted), actions: present(ACTIONS, wanted) }
  for (const [name, found] of Object.entries(groups)) {
    const group = box().querySelector(`[data-group=${name}]`)
    group.hidden = !found.length
    group.replaceChildren(group.firstElementChild, ...found.map((each, at) => option(each, `palette-${name}-${at}`)))
  }
  const first = options()[0], none = box().querySelector("[role=status]")
  input().ariaExpanded = String(Boolean(first))
  none.textContent = first ? "" : none.dataset.none
  select(first)
}

async function named(wanted) {
  const query = new URLSearchParams({ limit: MOST, sort: "-updatedAt", ...(wanted && { q: wanted }) })
  const response = await fetch(`/api/tables?${query}`).catch(() => undefined)
  const tables = response?.ok ? (await response.json()).items : []
  const icon = document.querySelector('.side nav a[href="/"] svg')
  return tables.map(({ id, name, slug }) => ({ name, note: slug, icon, act: () => location.assign(`/tables/${id}`) }))
}

/** What every page has links and buttons for. */
function present(selector, wanted) {
  const found = [...document.querySelectorAll(selector)].map(each => ({
    name: [each.closest("[role=group]")?.previousElementSibling, each].map(part => part?.textContent.trim()).filter(part => part).join(": "),
    icon: each.querySelector("svg"),
    act: () => ("dialog" in each.dataset ? openLink(each) : each.click()),
  }))
  return found.filter(each => each.name.toLowerCase().includes(wanted.toLowerCase()))
}

function option({ name, note = "", icon, act }, id) {
  const element = document.createElement("li"), said = document.createElement("span"), small = document.createElement("small")
  Object.assign(element, { id, role: "option", ariaSelected: "false" })
  said.textContent = name
  small.textContent = note
  element.append(icon?.cloneNode(true) ?? "", said, small)
  element.onclick = () => { box().close(); act() }
  return element
}

function select(element) {
  for (const each of options()) each.ariaSelected = String(each === element)
  element?.scrollIntoView({ block: "nearest" })
  if (element) input().setAttribute("aria-activedescendant", element.id)
  else input().removeAttribute("aria-activedescendant")
}

function move(event) {
  const all = options(), at = all.findIndex(each => each.ariaSelected === "true")
  if (event.key === "ArrowDown") select(all[Math.min(at + 1, all.length - 1)])
  else if (event.key === "ArrowUp") select(all[Math.max(at - 1, 0)])
  else if (event.key === "Enter") all[at]?.click()
  else return
  event.preventDefault()
}
