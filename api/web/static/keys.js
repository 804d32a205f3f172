// Keys for what is done most; none while somebody types, or a dialog is open.
import { onPage } from "./shown.js"

const typing = element => element?.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")
const rows = () => [...document.querySelectorAll("[data-row]")]
const row = () => document.activeElement?.closest("[data-id]")

const ACTIONS = {
  "c": () => press('[data-key="c"]'),
  "/": () => document.querySelector('[data-key="/"]')?.focus(),
  "j": () => step(1),
  "k": () => step(-1),
  "e": () => row()?.querySelector("[data-row]")?.click(),
  "x": () => row()?.querySelector(".pick")?.click(),
  "#": () => row()?.querySelector("[data-delete]")?.click(),
  "z": () => document.querySelector("#notices form")?.requestSubmit(),
  "?": () => document.querySelector("#keys")?.showModal(),
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (typing(event.target) || document.querySelector("dialog[open]")) return
  const act = ACTIONS[event.key]
  if (!act) return
  event.preventDefault()
  act()
})

function press(selector) {
  const pressed = document.querySelector(selector)
  if (document.activeElement === document.body) pressed?.focus() // a dialog that closes gives it back
  pressed?.click()
}

function step(by) {
  const all = rows(), at = all.indexOf(row()?.querySelector("[data-row]"))
  all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus()
}

const mac = /Mac|iPhone|iPad/.test(navigator.userAgentData?.platform ?? navigator.platform)

onPage(() => {
  if (mac) for (const key of document.querySelectorAll("[data-mac]")) key.textContent = key.dataset.mac
  for (const button of document.querySelectorAll("[data-open-keys]")) {
    button.hidden = false
    button.onclick = () => document.querySelector("#keys").showModal()
  }
})
