// The page: asks the server again and again how it is, and looks a phone up by POST. Texts of others come into
// the document by textContent alone. A phone that was looked up goes nowhere else, and is taken off in time.
"use strict";

const EVERY = 2000;            // ms between two looks
const SAMPLES = 90;            // of the chart, one each two seconds
const PATIENCE = 10 * 1000;    // ms for an answer
const KEPT = 5 * 60 * 1000;    // ms that a result stays on the screen
const STATUSES = {
  blacklisted: "Blacklisted", greylisted: "Greylisted", whitelisted: "Whitelisted", unknown: "Unknown",
};
const RULES = {
  exact: "this IMEI", range: "a range of IMEIs", tac: "all of this TAC", pair: "paired with this subscriber",
  block: "blocked with this subscriber", imsi: "this subscriber", irregular: "listed as text",
  malformed: "not an IMEI", default: "on no list",
};
const INTERFACES = { "5g": "5G (N5g-eir)", s13: "Diameter S13", http: "HTTP, in bulk" };
const KINDS = { http: "HTTP worker", s13: "S13", admin: "Admin", app: "This process" };
const HOLDS = {  // one, and several
  exact: ["IMEI", "IMEIs"], range: ["IMEI in ranges", "IMEIs in ranges"], tac: ["IMEI in TACs", "IMEIs in TACs"],
  irregular: ["irregular identity", "irregular identities"], pair: ["pair", "pairs"], imsi: ["IMSI prefix", "IMSI prefixes"],
};
const NUMBER = new Intl.NumberFormat("en-GB");

const $ = (id) => document.getElementById(id);

function made(name, text, values = {}) {
  const one = document.createElement(name);
  if (text !== undefined && text !== null) one.textContent = text;
  for (const [key, value] of Object.entries(values)) one.setAttribute(key, value);
  return one;
}

// A text of others: its direction, too, ends where it ends.
const foreign = (text) => made("bdi", text);

const chip = (status) => made("span", STATUSES[status] ?? status, { class: "chip", "data-status": status });

function rows(id, all, empty) {
  const table = $(id);
  const titles = [...table.querySelectorAll("th")].map((one) => one.textContent);
  const made_rows = all.map(({ cells, decided, status }) => {
    const row = made("tr", null, { role: "row" });
    if (decided) {
      row.className = "decided";
      row.dataset.status = status;
    }
    cells.forEach((cell, at) => {
      const one = made("td", null, { "data-label": titles[at], role: "cell" });
      if (cell === null || cell === "") one.className = "none";
      else if (typeof cell === "string" && cell.length <= 14) one.className = "short";
      one.append(cell === null || cell === "" ? "–" : cell);
      row.append(one);
    });
    return row;
  });
  if (!made_rows.length) {
    const row = made("tr", null, { role: "row" });
    row.append(made("td", empty, { colspan: titles.length, class: "empty", role: "cell" }));
    made_rows.push(row);
  }
  put(table.tBodies[0], made_rows);
}

// Cells that are as before stay: whoever reads or marks them is not disturbed.
function put(body, all) {
  all.forEach((row, at) => {
    const old = body.rows[at];
    if (!old) body.append(row);
    else if (old.cells.length !== row.cells.length || old.className || row.className) old.replaceWith(row);
    else [...row.cells].forEach((cell, column) => old.cells[column].isEqualNode(cell) || old.cells[column].replaceWith(cell));
  });
  while (body.rows.length > all.length) body.lastElementChild.remove();
}

function lasting(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.round(seconds);
  const words = [];
  for (const [unit, size] of units) {
    if (left >= size) {
      words.push(`${Math.floor(left / size)} ${unit}`);
      left %= size;
    } else if (words.length) break;
    if (words.length === 2) break;
  }
  return words.join(" ") || "0 s";
}

function ago(age) {
  if (age === null || age === undefined) return "not yet";
  if (age < 0) return "in the future: a clock is wrong";
  return age < 1 ? "just now" : `${lasting(age)} ago`;
}

const rated = (rate) => NUMBER.format(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate));

// ---- how the server is ----

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

function show_rates(state) {
  const names = Object.keys(INTERFACES).filter((name) => name in state.rates || name !== "http");
  const told = names.map((name) => state.rates[name] ?? []);
  const sums = [...Array(Math.max(...told.map((one) => one.length))).keys()].map((at) => total(told.map((one) => one[at] ?? 0)));
  const last = sums.length ? (rates) => rated(rates.at(-1) ?? 0) : () => "–";
  $("rate").textContent = last(sums);
  const all = total(Object.values(state.checks).map(total));
  $("rates").replaceChildren(...names.flatMap((name, at) => [made("dt", INTERFACES[name]), made("dd", last(told[at]))]),
    made("dt", "Since the start"), made("dd", NUMBER.format(all)),
    made("dt", "Errors"), made("dd", NUMBER.format(total(state.errors))));
  draw(sums);
}

function draw(rates) {
  const [area, stroke] = $("chart").querySelectorAll("path");
  const width = 600, height = 120, most = Math.max(...rates);
  const places = rates.map((rate, at) => [
    width - ((rates.length - 1 - at) * width) / (SAMPLES - 1),
    height - (rate / Math.max(1, most)) * (height - 8),
  ].map((place) => place.toFixed(1)));
  const line = places.map((place, at) => `${at ? "L" : "M"}${place.join(" ")}`).join("");
  stroke.setAttribute("d", line);
  area.setAttribute("d", line && `${line}L${width} ${height}L${places[0][0]} ${height}Z`);
  if (!rates.length) return;
  $("chart-most").textContent = `at most ${rated(most)}`;
  $("chart").setAttribute("aria-label", `Checks per second, now ${rated(rates.at(-1))}, at most ${rated(most)}`);
}

function health(is, text) {
  if ($("health-text").textContent !== text) $("health-text").textContent = text;  // said aloud once
  $("health").dataset.is = is;
}

function show(state) {
  const { store } = state;
  health(state.reasons.length ? "trouble" : "ready", state.reasons.length ? "Needs attention" : "Ready");
  const said = [...$("reasons").children].map((one) => one.textContent);
  if (said.join("\n") !== state.reasons.join("\n")) $("reasons").replaceChildren(...state.reasons.map((one) => made("li", one)));
  $("trouble").hidden = !state.reasons.length;
  show_rates(state);
  rows("lists", state.lists.map((one) => ({
    cells: [foreign(one.name), chip(one.status), held(one.entries), one.owner && foreign(one.owner), heard(one)],
  })), "The store has no lists.");
  $("store").textContent = store === null ? "The store could not be opened yet." : `Change ${NUMBER.format(store.sequence)} of generation ${store.generation}, made ${ago(store.age)}; `
    + `${counted(store.pending, "change", "changes")} since the base`
    + (store.compact_due ? `. Compacting is due: ${store.compact_due}` : "");
  $("feeds-card").hidden = !state.feeds.length;
  rows("feeds", state.feeds.map((one) => ({ cells: [foreign(one.name), NUMBER.format(one.number), ago(one.age)] })), "");
  rows("processes", state.processes.map((one) => ({
    cells: [named(one), running(one), `change ${NUMBER.format(one.sequence)}, generation ${one.generation}`, one.alive ? lasting(one.up) : "", one.starts - 1 || ""],
  })), "No process has told anything yet.");
  $("peers-card").hidden = !state.peers.length;
  rows("peers", state.peers.map((one) => ({ cells: [foreign(one.host), foreign(one.address), foreign(one.state), lasting(one.for)] })), "");
}

const counted = (count, one, several) => `${NUMBER.format(count)} ${count === 1 ? one : several}`;

function held(entries) {
  const told = Object.entries(entries).filter(([, count]) => count);
  return told.map(([rule, count]) => counted(count, ...(HOLDS[rule] ?? [rule, rule]))).join(", ") || "nothing";
}

function heard(one) {
  const late = one.max_age !== null && (one.age === null || one.age < 0 || one.age > one.max_age);
  const text = ago(one.age) + (one.max_age === null ? "" : `, allowed ${lasting(one.max_age)}`);
  return late ? made("span", `▲ ${text}`, { class: "bad" }) : text;
}

const named = (one) => (one.kind === "http" ? `${KINDS.http} ${one.index}` : KINDS[one.kind] ?? one.kind);

function running(one) {
  if (!one.alive) return made("span", `✕ silent for ${lasting(one.silent)}`, { class: "bad" });
  return one.fault ? made("span", `▲ ${one.fault}`, { class: "bad" }) : "✓ running";
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("state", { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(await answer.json());
    } catch {
      health("gone", "No answer from the server");
    }
  }
  setTimeout(look, EVERY);
}

// ---- the lookup ----

let asked = 0;
let forget = 0;

function clear() {
  asked += 1;
  clearTimeout(forget);
  $("result").hidden = true;
  $("fault").hidden = true;
  $("said").textContent = "";
  for (const id of ["verdict-status", "verdict-why", "result-state"]) $(id).textContent = "";
  $("claims").tBodies[0].replaceChildren();
}

function fail(text) {
  $("fault").textContent = text;
  $("fault").hidden = false;
  $("imei").setAttribute("aria-invalid", "true");
}

function why(found) {
  const rule = RULES[found.rule] ?? found.rule;
  const parts = found.list === null ? [rule] : ["by list ", foreign(found.list), ` (${rule})`];
  if (found.reasons.length) parts.push(", reason: ", foreign(found.reasons.join(", ")));
  if (found.date) parts.push(`, since ${found.date}`);
  return parts;
}

function answer(found) {
  const status = STATUSES[found.status] ?? found.status;
  $("verdict").dataset.status = found.status;
  $("verdict-status").textContent = status;
  $("verdict-why").replaceChildren(...why(found));
  rows("claims", found.claims.map((one) => ({
    decided: one.decided,
    status: one.status,
    cells: [one.decided ? "● decided" : "", foreign(one.list), chip(one.status), RULES[one.rule] ?? one.rule,
      one.owner && foreign(one.owner), one.reasons.length ? foreign(one.reasons.join(", ")) : "", one.date, one.until, ago(one.age)],
  })), "");
  $("claims-box").hidden = !found.claims.length;
  const none = found.claims.length ? "" : "No list says anything of it: the policy decided. ";
  $("result-state").textContent = `${none}Answered by change ${NUMBER.format(found.sequence)} of generation ${found.generation}.`;
  $("result").hidden = false;
  const lists = counted(found.claims.length, "list says", "lists say");
  $("said").textContent = `${status}, ${$("verdict-why").textContent}. ${lists} something of it.`;
  forget = setTimeout(() => $("lookup").reset(), KEPT);
}

async function lookup(event) {
  event.preventDefault();
  clear();
  $("imei").removeAttribute("aria-invalid");
  const mine = asked;
  const imei = $("imei").value.trim(), imsi = $("imsi").value.trim();
  if (!imei) return fail("Give an IMEI: 14 to 16 digits.");
  if (document.activeElement === $("imei")) $("imei").select();  // the next one is typed over it
  try {
    const sent = await fetch("lookup", {
      method: "POST", cache: "no-store", credentials: "same-origin", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
      headers: { "content-type": "application/json" }, body: JSON.stringify(imsi ? { imei, imsi } : { imei }),
    });
    const told = await sent.json();
    if (mine !== asked) return undefined;  // another lookup came after this one
    return sent.ok ? answer(told) : fail(told.detail ?? told.title);
  } catch {
    return mine === asked ? fail("No answer from the server. Try again.") : undefined;
  }
}

// On a narrow screen tables are laid out as blocks, which takes their meaning from them otherwise.
for (const [name, role] of [["table", "table"], ["thead, tbody", "rowgroup"], ["thead tr", "row"], ["th", "columnheader"]]) {
  for (const one of document.querySelectorAll(name)) one.setAttribute("role", role);
}
$("lookup").addEventListener("submit", lookup);
$("lookup").addEventListener("reset", () => {
  clear();
  $("imei").removeAttribute("aria-invalid");
  $("imei").focus();
});
$("lookup").addEventListener("input", clear);  // no verdict stands beside the number of another phone
$("lookup").addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("lookup").reset();
});
window.addEventListener("pagehide", () => $("lookup").reset());
look();
