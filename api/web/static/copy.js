// Buttons that copy what a field beside them holds; without scripts there is none, but the field.
import { onPage } from "./shown.js"

onPage(() => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy), said = button.querySelector("span")
    const status = button.closest(".field").querySelector("[data-copy-status]")
    field.onfocus = () => field.select()
    if (field === document.activeElement) field.select()
    button.hidden = !navigator.clipboard // only pages that came safely may write to it
    button.onclick = async () => {
      await navigator.clipboard.writeText(field.value)
      said.textContent = status.textContent = button.dataset.done
    }
  }
})
