// Requests to the page's own server, and small helpers that make elements.

export class Refused extends Error {}

async function answerOf(response) {
  const type = response.headers.get("content-type") || "";
  const body = type.includes("json") ? await response.json() : { error: await response.text() };
  if (!response.ok) {
    throw new Refused([body.error, body.hint].filter(Boolean).join(". ") || `the server answered ${response.status}`);
  }
  return body;
}

export async function get(address) {
  return answerOf(await fetch(address, { headers: { Accept: "application/json" } }));
}

export async function post(address, values = {}) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  return answerOf(await fetch(address, { method: "POST", headers, body: JSON.stringify(values) }));
}

/** Sends a file as it is; `told` gets the share that was sent. */
export function send(address, file, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onerror = () => reject(new Refused(`${file.name} could not be sent: the server ended the connection`));
    request.onload = () => {
      let body = { error: request.responseText };
      try { body = JSON.parse(request.responseText); } catch { /* a plain sentence */ }
      if (request.status === 200) resolve(body);
      else reject(new Refused([body.error, body.hint].filter(Boolean).join(". ")));
    };
    request.send(file);
  });
}

/** An element with attributes, listeners (`onclick`) and children; text is never read as HTML. */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function toast(message, bad = false) {
  const place = document.getElementById("toasts");
  const shown = make("div", { class: bad ? "toast bad" : "toast" }, message);
  place.append(shown);
  setTimeout(() => shown.remove(), bad ? 9000 : 4000);
}

/** Runs `work`; what it refuses is shown. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused || error instanceof TypeError) toast(error.message, true);
    else throw error;
    return undefined;
  }
}

/** Calls `work` again and again, `seconds` after it has ended; not while the page is hidden. */
export function every(seconds, work) {
  const step = async () => {
    if (!document.hidden) {
      try { await work(); } catch (error) { if (!(error instanceof Refused || error instanceof TypeError)) console.error(error); }
    }
    setTimeout(step, 1000 * seconds);
  };
  step();
}

export const signed = (value, digits = 2) => (value === null || value === undefined ? "" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits));

export function duration(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts[0] ? `${parts[0]} h ${parts[1]} min` : parts[1] ? `${parts[1]} min ${parts[2]} s` : `${parts[2]} s`;
}

export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

export function moment(seconds) {
  return new Date(1000 * seconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Whether keys typed now belong to a field of a form. */
export function typing() {
  const node = document.activeElement;
  return Boolean(node && (node.matches("textarea, select, [contenteditable]") || (node.matches("input") && !["checkbox", "range", "button"].includes(node.type))));
}
