// The one state, as the server tells it, and messages to the server.
export const store = { state: null, listeners: [], link: () => {} };

export async function post(message) {
  const answer = await fetch("api/message", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(message) });
  const told = await answer.json().catch(() => ({ error: "the studio gave no answer" }));
  if (told.error) throw new Error(told.error);
}
export async function get(path) {
  const answer = await fetch(path);
  const told = await answer.json();
  if (told?.error) throw new Error(told.error);
  return told;
}
let wait = 300;
export function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onopen = () => { wait = 300; store.link(true, ""); };
  socket.onmessage = (event) => {
    store.state = JSON.parse(event.data);
    for (const listener of store.listeners) listener(store.state);
  };
  socket.onclose = (event) => {
    store.link(false, event.reason);
    setTimeout(connect, wait);
    wait = Math.min(3000, wait * 1.6);
  };
}
