// Which tables of the list are selected: one, all from one to another, all that are shown, or none.
import { onPage } from "./shown.js"

const picks = () => [...document.querySelectorAll(".pick")]
const form = () => document.querySelector("#bulk")
let last // the id of the one before: a range begins with it

onPage(() => {
  const all = document.querySelector("[data-all]")
  if (!all) return
  all.parentElement.hidden = false
  all.onchange = () => {
    for (const each of picks()) each.checked = all.checked
    count()
  }
  form().onreset = () => {
    if (form().contains(document.activeElement)) all.focus() // what has it is gone in a moment
    setTimeout(count)
  }
  count()
})

/** Say how many are selected. */
export function count() {
  const said = document.querySelector("[data-selected]"), all = document.querySelector("[data-all]")
  if (!said) return
  const shown = picks(), picked = shown.filter(each => each.checked).length
  said.textContent = `${picked} ${said.dataset.one}`
  all.checked = picked > 0 && picked === shown.length
  all.indeterminate = picked > 0 && picked < shown.length
}

document.addEventListener("click", event => {
  if (!event.target.matches?.(".pick")) return
  const shown = picks(), to = shown.indexOf(event.target), from = shown.findIndex(each => each.value === last)
  if (event.shiftKey && from >= 0)
    for (const each of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) each.checked = event.target.checked
  last = event.target.value
  count()
})

document.addEventListener("keydown", event => {
  const elsewhere = event.target.matches("input:not([type=checkbox]), select") || document.querySelector("dialog[open]")
  if (event.key === "Escape" && !event.defaultPrevented && !elsewhere) form()?.reset()
})
