// Buttons that copy what a field or a text beside them holds; without scripts there is none.
import { onPage } from "./shown.js"

onPage(() => begin(document))

/** Begin with the buttons in a part of the page. */
export function begin(part) {
  for (const button of part.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy), said = button.querySelector("span")
    const status = button.parentElement.parentElement.querySelector("[data-copy-status]")
    if (source.select) source.onfocus = () => source.select()
    if (source === document.activeElement) source.select()
    button.hidden = !navigator.clipboard // only pages that came safely may write to it
    button.onclick = async () => {
      await navigator.clipboard.writeText(source.value ?? source.textContent)
      said.textContent = status.textContent = button.dataset.done
    }
  }
}
