"use strict";
// Shows what /status and /history say, once a second. What peers are called is only ever set as text.

const LOOKS = 300;
const LEAST = 60;
const PERIOD = 1000;
let looks = [];

const byId = (id) => document.getElementById(id);
const write = (id, text) => { byId(id).textContent = text; };

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// Numbers and times that a person can read.
function count(value) {
  if (value === null || value === undefined) return "-";
  if (value > 0 && value < 10 && !Number.isInteger(value)) return value.toFixed(1);
  return Math.round(value).toLocaleString("en");
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  const units = [[1e-3, 1e6, "µs"], [1, 1e3, "ms"], [120, 1, "s"], [7200, 1 / 60, "min"], [172800, 1 / 3600, "h"]];
  const [, factor, unit] = units.find(([below]) => seconds < below) || [0, 1 / 86400, "days"];
  const value = seconds * factor;
  return `${value.toFixed(value < 10 && value > 0 ? 1 : 0)} ${unit}`;
}

// A plot of some of the looks' values. Each series is a class, a name and where its value is.
function plot(id, series, show, isTime) {
  const figure = byId(id);
  const legend = element("div", "", "legend");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("role", "img");
  figure.append(legend, svg);
  let cursor = null;
  const shape = (name, attributes, text) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
  };

  const draw = () => {
    const box = svg.getBoundingClientRect();
    const [left, top, right, bottom] = [52, 6, box.width - 2, box.height - 18];
    const values = series.flatMap(([, , of]) => looks.map(of)).filter((value) => value !== null);
    const scale = isTime ? logarithmic(values) : linear(values);
    const span = Math.max(looks.length, LEAST);
    const x = (at) => right - ((looks.length - 1 - at) / (span - 1)) * (right - left);
    const y = (value) => bottom - scale.place(value) * (bottom - top);
    svg.replaceChildren();
    for (const mark of scale.marks) {
      shape("line", { class: "grid", x1: left, x2: right, y1: y(mark), y2: y(mark) });
      shape("text", { x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, show(mark));
    }
    const step = span > 120 ? 60 : 15;
    for (let ago = step; ago < span; ago += step) {
      const text = step === 60 ? `-${ago / 60} min` : `-${ago} s`;
      shape("text", { x: x(looks.length - 1 - ago), y: bottom + 14, "text-anchor": "middle" }, text);
    }
    for (const [kind, , of] of series) {
      let pen = "M";
      let path = "";
      looks.forEach((look, at) => {
        const value = of(look);
        if (value === null) { pen = "M"; return; }
        path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
        // A single point is a dot.
        if (pen === "M") path += "h.1";
        pen = "L";
      });
      shape("path", { class: kind, d: path });
    }
    const last = looks.length - 1;
    const at = cursor === null ? last : Math.round(last - ((right - cursor) / (right - left)) * (span - 1));
    const look = looks[at];
    if (cursor !== null && look) shape("line", { class: "cursor", x1: x(at), x2: x(at), y1: top, y2: bottom });
    legend.replaceChildren(...series.map(([kind, name, of]) => {
      const entry = element("span", "", kind);
      entry.append(element("i", ""), `${name} `, element("b", look && of(look) !== null ? show(of(look)) : "-"));
      return entry;
    }));
    svg.setAttribute("aria-label", legend.textContent);
  };
  svg.addEventListener("pointermove", (event) => { cursor = event.clientX - svg.getBoundingClientRect().left; draw(); });
  svg.addEventListener("pointerleave", () => { cursor = null; draw(); });
  return draw;
}

// From 0 to a round number.
function linear(values) {
  const most = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2, 5].map((factor) => factor * power).find((step) => most / step <= 5);
  const end = Math.ceil(most / step) * step;
  const marks = [];
  for (let mark = 0; mark <= end + step / 2; mark += step) marks.push(mark);
  return { marks, place: (value) => value / end };
}

// From one power of ten to another.
function logarithmic(values) {
  const some = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...some, 1e-3)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...some, 1e-3))));
  const step = high - low > 5 ? 2 : 1;
  const marks = [];
  for (let power = low; power <= high; power += step) marks.push(10 ** power);
  return { marks, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
}

const share = (of, at) => (look) => (look[of] ? look[of][at] : null);
const percentiles = (of) => [["a", "median", share(of, 0)], ["b", "90 %", share(of, 1)], ["c", "99 %", share(of, 2)]];
const plots = [
  plot("plot-rate", [["a", "requests", (look) => look.requests], ["b", "replies", (look) => look.replies]], count, false),
  plot("plot-queue", [["a", "waiting", (look) => look.waiting], ["b", "in flight", (look) => look.in_flight]], count, false),
  plot("plot-waited", [...percentiles("waited"), ["d", "oldest wait", (look) => look.oldest]], time, true),
  plot("plot-served", percentiles("served"), time, true),
];

function rows(id, all, none, columns) {
  const made = all.map((one) => {
    const row = document.createElement("tr");
    row.append(...columns(one));
    return row;
  });
  if (made.length === 0) {
    const cell = element("td", none, "none");
    cell.colSpan = 5;
    const row = document.createElement("tr");
    row.append(cell);
    made.push(row);
  }
  byId(id).replaceChildren(...made);
}

function show(status) {
  const words = (name) => name.replaceAll("_", " ");
  const states = { journal_full: "stuck", draining: "draining", paused: "paused", holding: "full" };
  const state = states[Object.keys(states).find((name) => status[name])] || "open";
  const idle = status.workers.filter((worker) => worker.state === "idle").length;
  write("version", status.version);
  write("state", state);
  byId("state").className = `badge ${state}`;
  write("up", `up for ${time(status.up)}`);
  write("rate", looks.length ? count(looks[looks.length - 1].requests) : "-");
  write("waiting", count(status.waiting.requests));
  const delayed = status.waiting.delayed;
  write("delayed", delayed ? ` ${count(delayed)} not for a worker: paused, or their clients are away` : "");
  write("oldest", time(status.waiting.oldest));
  write("in-flight", count(status.in_flight));
  write("idle", count(idle));
  write("workers", count(status.workers.length));
  write("clients", count(status.clients));
  write("workers-note", idle > 1 ? "the first has the next turn" : "");
  document.title = status.waiting.requests ? `broker: ${count(status.waiting.requests)} waiting` : "broker";
  rows("worker-rows", status.workers, "none is connected to the backend", (worker) => [
    element("td", worker.name), element("td", worker.held && worker.state !== "quarantined" ? `${worker.state}, held` : worker.state, worker.state), element("td", worker.client ?? ""),
    element("td", worker.since === null ? "" : time(worker.since), "number"),
    element("td", worker.strikes || "", "number"),
  ]);
  rows("client-rows", status.waiting.longest, "nobody waits", (client) => [
    element("td", client.name), element("td", time(client.waits), "number"),
  ]);
  const happened = [status.counters, status.losses, status.violations].flatMap(Object.entries);
  rows("count-rows", happened.filter(([, count]) => count > 0), "nothing has happened", ([name, number]) => [
    element("td", words(name)), element("td", count(number), "number"),
  ]);
  const faults = status.recent.map((fault) => {
    const entry = document.createElement("li");
    const at = element("time", new Date(fault.at).toLocaleTimeString());
    at.dateTime = fault.at;
    entry.append(at, fault.what);
    return entry;
  });
  byId("faults").replaceChildren(...(faults.length ? faults : [element("li", "nothing went wrong so far", "none")]));
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function look() {
  try {
    const last = looks.length ? looks[looks.length - 1].number : 0;
    const [status, more] = await Promise.all([get("status"), get(`history?after=${last}`)]);
    // A queue that was started again counts anew.
    if (looks.length && status.up < looks.length * PERIOD / 1000 - 5) looks = [];
    looks = looks.concat(more).slice(-LOOKS);
    show(status);
    plots.forEach((draw) => draw());
    document.body.classList.remove("stale");
    write("alive", "live");
  } catch (error) {
    if (!document.body.classList.contains("stale")) {
      write("alive", `no answer since ${new Date().toLocaleTimeString()}; this is from before`);
    }
    document.body.classList.add("stale");
  }
  setTimeout(look, PERIOD);
}

window.addEventListener("resize", () => plots.forEach((draw) => draw()));
look();
