// News of what others do: a stream says that something changed, and the page fetches itself anew.
import { notice, retract, text } from "./notices.js"

const PAUSE = 80, PATIENCE = 2_500 // milliseconds: to gather what comes together; to reconnect
let source, last = "", gathering, offline, pending = []
const said = () => document.querySelector('#notices [data-name="offline"]')
const away = stay => notice(text("offline"), { name: "offline", stay })

function connect() {
  const address = document.body.dataset.live
  if (!address || source || document.hidden) return
  source = new EventSource(last ? `/live?after=${last}` : address)
  source.onopen = back
  source.onmessage = event => {
    last = event.lastEventId
    pending.push(JSON.parse(event.data))
    gathering ??= setTimeout(tell, PAUSE)
  }
  source.onerror = () => {
    offline ??= setTimeout(() => away(true), PATIENCE)
    if (source.readyState === EventSource.CLOSED) { // refused, for example while it starts anew
      source = undefined
      setTimeout(connect, PATIENCE)
    }
  }
}

function back() {
  clearTimeout(offline)
  offline = undefined
  if (!said()) return
  retract("offline")
  notice(text("online"))
}

function tell() {
  const changes = pending
  pending = []
  gathering = undefined
  document.dispatchEvent(new CustomEvent("changed", { detail: changes }))
}

// A browser has few connections: whoever does not look needs none.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return connect()
  source?.close()
  source = undefined
})
// A browser knows at once that the network is gone, a connection only after a while.
window.addEventListener("offline", () => {
  source?.close()
  source = undefined
  away(true)
})
// Something else could not be fetched, and the stream may not know why.
document.addEventListener("unreachable", () => { if (!said()) away(false) })
window.addEventListener("online", connect)
window.addEventListener("pagehide", () => source?.close())
connect()
