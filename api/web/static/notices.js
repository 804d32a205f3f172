// Short messages at the edge of the page; a screen reader says them.
import { onPage } from "./shown.js"

const LONG = 12_000, SHORT = 6_000 // milliseconds; what can be undone stays longer

/** A text of the page's language, with `{name}` filled in. */
export function text(name, values = {}) {
  const found = document.querySelector("#texts")?.content.querySelector(`[data-text="${name}"]`)
  return (found?.textContent ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "")
}

/** Say something; `stay`: until it is taken back by its name. */
export function notice(words, { name = "", stay = false } = {}) {
  retract(name)
  const box = document.createElement("div"), said = document.createElement("p")
  box.className = "toast"
  box.dataset.name = name
  said.textContent = words
  box.append(said)
  reach()
  document.querySelector("#notices").append(box)
  if (!stay) fade(box, SHORT)
}

/** Put the messages where they are seen and heard: what is beside an open dialog is neither. */
export function reach() {
  const notices = document.querySelector("#notices"), open = document.querySelector("dialog:modal")
  if (notices.parentElement !== (open ?? document.body)) (open ?? document.body).append(notices)
}

/** Take back what was said under a name. */
export function retract(name) {
  if (name) document.querySelector(`#notices [data-name="${name}"]`)?.remove()
}

function fade(box, after) {
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2_000) : box.remove())
  setTimeout(leave, after)
}

document.addEventListener("close", reach, true) // of a dialog

onPage(() => {
  reach()
  for (const box of document.querySelectorAll("[data-toast]:not([data-timed])")) {
    box.dataset.timed = ""
    fade(box, box.querySelector("form") ? LONG : SHORT)
  }
})
