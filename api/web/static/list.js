// The list of tables: searched while typing, longer while scrolling, and as new as the service is.
import { notice, text } from "./notices.js"
import { count } from "./picks.js"
import { fetchPage, onPage } from "./shown.js"

const PAUSE = 160, MOST = 1_000, AGAIN = 200 // milliseconds after a key; rows in one page; rows that are fetched again
const NOTHING = { problem: true } // without a network, the list stays as it is
let waiting, asked = 0, watcher

onPage(() => {
  const form = document.querySelector("[data-filters]")
  if (!form) return
  form.oninput = () => { clearTimeout(waiting); waiting = setTimeout(search, PAUSE) }
  form.onsubmit = async event => { // by Enter: on to what was found
    event.preventDefault()
    clearTimeout(waiting)
    await search()
    document.querySelector("[data-row]")?.focus()
  }
  watch()
})

async function search() {
  const form = document.querySelector("[data-filters]"), number = ++asked
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value))
  const target = query.size ? `/?${query}` : "/"
  const { page, at, problem } = await fetchPage(target).catch(() => NOTHING)
  if (number !== asked || problem) return // another key came since
  if (!document.querySelector("#list") || !page.querySelector("#list")) return // one left, or is signed out
  history.replaceState(null, "", at)
  swap(page)
}

/** Show the rows of a page; what was selected or had the focus keeps it. */
function swap(page) {
  const old = document.querySelector("#list"), fresh = document.adoptNode(page.querySelector("#list"))
  const picked = new Set([...old.querySelectorAll(".pick:checked")].map(each => each.value))
  const focused = old.contains(document.activeElement) && document.activeElement.closest("[data-id]")?.dataset.id
  const part = [".pick", "summary"].find(each => document.activeElement.matches(each)) ?? "[data-row]"
  const versions = new Map([...old.querySelectorAll("[data-id]")].map(each => [each.dataset.id, each.dataset.version]))
  for (const each of fresh.querySelectorAll(".pick")) each.checked = picked.has(each.value)
  old.replaceWith(fresh)
  for (const part of ["[data-count]", "[data-active]", ".looks", ".tabs", ".time"]) {
    const shown = document.querySelector(part), now = page.querySelector(part)
    if (shown && now && !shown.open) shown.replaceWith(document.adoptNode(now))
  }
  if (focused) fresh.querySelector(`[data-id="${focused}"] ${part}`)?.focus({ preventScroll: true })
  watch()
  count()
  return [...fresh.querySelectorAll("[data-id]")].filter(each => versions.get(each.dataset.id) !== each.dataset.version)
}

// The next page comes when its link is near.
function watch() {
  watcher?.disconnect()
  const more = document.querySelector("[data-more]")
  if (!more || document.querySelectorAll("[data-rows] > li").length >= MOST) return
  watcher = new IntersectionObserver(async entries => {
    if (!entries.at(-1).isIntersecting) return // the last is how it is now
    watcher.disconnect()
    if (await extend(document.querySelector("#list"), more)) watch()
  }, { rootMargin: "600px" })
  watcher.observe(more)
}

async function extend(list, more) {
  const { page, problem } = await fetchPage(more.href).catch(() => NOTHING)
  if (problem || !more.isConnected) return false
  list.querySelector("[data-rows]").append(...page.querySelectorAll("[data-rows] > li"))
  count()
  const next = page.querySelector("[data-more]")
  if (next) more.replaceWith(document.adoptNode(next))
  else more.parentElement.remove()
  return true
}

// A menu that is open is not taken away.
const later = () => setTimeout(() => document.dispatchEvent(new CustomEvent("changed")), 1_000)

// One after the other: what happens meanwhile, the next brings.
let busy = false, missed = false
document.addEventListener("changed", async () => {
  missed = busy
  if (busy) return
  busy = true
  await refresh().finally(() => { busy = false })
  if (missed) document.dispatchEvent(new CustomEvent("changed"))
})

const countOf = part => part.querySelectorAll("[data-rows] > li").length

/** Of a long list the beginning is fetched again; what comes later stays as it was. */
function keep(page) {
  const more = page.querySelector("[data-more]"), shown = document.querySelector("[data-more]")
  if (!more || countOf(document) <= countOf(page)) return
  const fresh = new Set([...page.querySelectorAll("[data-rows] > li")].map(each => each.dataset.id))
  const later = [...document.querySelectorAll("[data-rows] > li")].slice(fresh.size)
  page.querySelector("[data-rows]").append(...later.filter(each => !fresh.has(each.dataset.id)).map(each => each.cloneNode(true)))
  if (shown) more.href = shown.href
  else more.parentElement.remove()
}

async function refresh() {
  if (!document.querySelector("#list") || document.querySelector(".then")) return
  if (document.querySelector("#list details[open]")) return later()
  const number = ++asked, rows = Math.min(countOf(document), AGAIN)
  const { page, problem, signedOut } = await fetchPage(location.href).catch(() => NOTHING)
  if (number !== asked || problem || signedOut || !page.querySelector("#list")) return // of where one just went
  for (let more; countOf(page) < rows && (more = page.querySelector("[data-more]"));)
    if (!await extend(page.querySelector("#list"), more)) return
  keep(page)
  if (number !== asked || !document.querySelector("#list")) return // or another page
  if (document.querySelector("#list details[open]")) return later()
  const arrived = swap(page)
  for (const row of arrived) row.classList.add("arrived")
  const own = document.querySelector(".person strong")?.textContent // who did it themselves was told already
  const news = arrived.find(row => row.dataset.by !== own)
  if (news) notice(`${news.querySelector(".name").textContent}: ${text("live-changed", { name: news.dataset.by })}`, { name: "live" })
}
