// A menu is a <details>: it closes when another opens, on Escape, and on a click elsewhere.
import { onPage } from "./shown.js"

// On a telephone not all of the main menu fits: the page that is open is in sight.
onPage(() => {
  const menu = document.querySelector(".side nav"), current = menu?.querySelector("[aria-current]")?.getBoundingClientRect()
  if (current) menu.scrollLeft += current.left - menu.getBoundingClientRect().left - (menu.clientWidth - current.width) / 2
})

const open = () => document.querySelectorAll("details.menu[open]")

document.addEventListener("click", event => {
  for (const menu of open()) if (!menu.contains(event.target) || event.target.closest(".menu-items :is(a, button)")) menu.open = false
})

document.addEventListener("keydown", event => {
  const menu = document.activeElement?.closest("details.menu[open]")
  if (event.key === "Escape") {
    if (open().length) event.preventDefault() // it does nothing else
    for (const each of open()) each.open = false
    menu?.querySelector("summary").focus()
  }
  if (menu && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const items = [...menu.querySelectorAll(".menu-items :is(a, button)")]
    const at = items.indexOf(document.activeElement), step = event.key === "ArrowDown" ? 1 : -1
    items.at((at + step + items.length) % items.length)?.focus()
    event.preventDefault()
  }
})
