// The history: longer on demand, as new as the service is, and a slider through the versions.
import { onPage, reachPage, show } from "./shown.js"

const PAUSE = 150, PERIOD = 1_000 // milliseconds after the slider moved; between looks at an export
let waiting, looking, asked = 0

onPage(() => begin(document.querySelector("main")))

/** Begin with a part of the page, or a dialog. */
export function begin(part) {
  slider(part)
  watch()
}

// Versions

function slider(part) {
  const form = part.querySelector("[data-versions]")
  if (!form) return
  const { version } = form.elements
  for (const each of form.parentElement.querySelectorAll("output, [data-told], [data-difference] .help")) each.hidden = false
  form.querySelector("button").hidden = true // what is compared has one of its own
  tell(form, happened(version.value))
  version.oninput = () => {
    tell(form, happened(version.value))
    clearTimeout(waiting)
    waiting = setTimeout(() => compare(form), PAUSE)
  }
}

/** Say which version is under the thumb, and what happened at it. */
function tell(form, told) {
  const { version } = form.elements, said = form.querySelector("output"), line = form.querySelector("[data-told]")
  said.textContent = said.dataset.said.replace("{version}", version.value)
  line.replaceChildren(...told)
  version.setAttribute("aria-valuetext", [said, line].map(each => each.textContent).filter(each => each).join(", "))
}

/** What happened at a version, if that part of the history is shown. */
function happened(version) {
  const row = document.querySelector(`[data-history] [data-version="${version}"] summary`)
  return row ? [...row.querySelector(".what").cloneNode(true).childNodes, " · ", row.querySelector("time").title] : []
}

async function compare(form) {
  const number = ++asked
  const { page, problem } = await reachPage(`${form.dataset.differences}?version=${form.elements.version.value}`)
  const panel = page?.querySelector("[data-panel]")
  if (number !== asked || problem || !panel) return // it moved on since
  const told = panel.querySelector("[data-told]")
  tell(form, told.childNodes)
  told.remove()
  form.parentElement.querySelector("[data-difference]").replaceChildren(document.adoptNode(panel))
}

// Further pages, and what happens meanwhile

document.addEventListener("click", async event => {
  const more = event.target.closest("[data-more]"), list = document.querySelector("[data-history]")
  if (!more || !list || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return
  event.preventDefault()
  const { page, problem, signedOut } = await reachPage(more.href)
  if (!page) return
  if (problem || signedOut) return location.assign(more.href)
  const added = [...page.querySelectorAll("[data-day]")].flatMap(day => merge(list, day, "append"))
  const next = page.querySelector("[data-more]")
  if (next) more.replaceWith(document.adoptNode(next))
  else more.parentElement.remove()
  added[0]?.querySelector("summary").focus({ preventScroll: true })
})

document.addEventListener("changed", async event => {
  const list = document.querySelector("[data-history][data-first]"), table = list?.dataset.history
  if (!list || (table && !(event.detail ?? []).some(each => each.tableId === table))) return
  const { page, at, problem, signedOut } = await reachPage(location.href)
  if (!page || problem || signedOut || !list.isConnected) return
  if (!document.querySelector(".then") !== !page.querySelector(".then")) return show(page, at, "leave") // deleted, or restored
  const arrived = [...page.querySelectorAll("[data-day]")].reverse().flatMap(day => merge(list, day, "prepend"))
  for (const each of arrived) each.classList.add("arrived")
  newer(page)
})

/** Show the newest version in the head, and let the slider reach it. */
function newer(page) {
  const head = document.querySelector(".table-head"), form = document.querySelector("[data-versions]")
  const fresh = page.querySelector("[data-versions]")
  head?.replaceWith(document.adoptNode(page.querySelector(".table-head")))
  if (!form || !fresh) return
  const { version } = form.elements, atEnd = version.value === version.max
  version.max = fresh.elements.version.max
  if (atEnd) version.value = version.max
  form.querySelector("output").dataset.said = fresh.querySelector("output").dataset.said
  form.querySelector("datalist").replaceWith(document.adoptNode(fresh.querySelector("datalist")))
  form.parentElement.hidden = fresh.parentElement.hidden
  slider(document.querySelector("main"))
  if (form.parentElement.querySelector("[data-panel]")) compare(form)
}

/** Put what is not shown yet of a day at one end of the list; what was put. */
function merge(list, day, how) {
  const known = new Set([...list.querySelectorAll("[data-position]")].map(each => each.dataset.position))
  const fresh = [...day.querySelectorAll("[data-position]")].filter(each => !known.has(each.dataset.position))
  if (!fresh.length) return []
  const shown = list.querySelector(`[data-day="${day.dataset.day}"] .happened`)
  if (shown) shown[how](...fresh)
  else {
    day.querySelector(".happened").replaceChildren(...fresh)
    list[how](document.adoptNode(day))
  }
  return fresh
}

// What an auditor takes away

// An export that is being made is looked at until it is done.
function watch() {
  clearTimeout(looking)
  if (document.querySelector("[data-unfinished]")) looking = setTimeout(look, PERIOD)
}

async function look() {
  const list = document.querySelector("[data-unfinished]")
  if (!list) return
  const { page, problem, signedOut } = await reachPage("/history/exports")
  const fresh = page && !problem && !signedOut && page.querySelector("[data-exports]")
  if (fresh && list.isConnected && !list.contains(document.activeElement)) list.replaceWith(document.adoptNode(fresh))
  watch()
}
