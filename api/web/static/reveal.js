// A button that shows what is typed into a field for a secret; without scripts there is none.
import { onPage } from "./shown.js"

onPage(() => {
  for (const button of document.querySelectorAll("[data-reveal]")) {
    const field = document.getElementById(button.dataset.reveal)
    const show = shown => { field.type = shown ? "text" : "password"; button.ariaPressed = String(shown) }
    button.hidden = false
    button.onclick = () => show(field.type === "password")
    field.form.addEventListener("submit", () => show(false)) // what browsers keep stays a password
  }
})
