// The socket: found again when it is lost; the server's clock measured with pings.
export class Link {
  constructor(handlers) {
    this.handlers = handlers;
    this.wait = 300;
    this.offset = 0;
    this.best = 1e6;
    this.open();
    setInterval(() => this.ping(), 2000);
  }
  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.wait = 300; this.handlers.state(true); this.ping(); };
    socket.onclose = (event) => {
      this.handlers.state(false, event.reason);
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(3000, this.wait * 1.6);
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") this.text(JSON.parse(event.data));
      else this.handlers.signals(...frame(event.data));
    };
    this.socket = socket;
  }
  text(message) {
    if (message.type === "pong") {
      const now = Date.now(), way = now - message.sent;
      this.best = Math.min(this.best * 1.2, 1e6);  // the quickest way there and back tells the clocks apart best
      if (way <= this.best) { this.best = Math.max(1, way); this.offset = message.now_ms - (message.sent + now) / 2; }
      this.handlers.pong(message);
      return;
    }
    this.handlers[message.type]?.(message);
  }
  ping() { this.send({ type: "ping", sent: Date.now() }); }
  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

// A header in JSON, then for each part float32 samples (channels, count) and a mask of bytes.
function frame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const part of header.parts) {
    const bytes = 4 * part.channels * part.count;
    part.values = new Float32Array(buffer.slice(at, at + bytes));
    part.seen = new Uint8Array(buffer, at + bytes, part.count);
    at += bytes + part.count;
  }
  return [header, header.parts];
}
