// Draws the shelf and passes on what is typed and pressed. The server decides; the page only shows what it said.
"use strict";

const byId = (id) => document.getElementById(id);
const things = new Map(); // id → thing, as the server last told it
let asked = 0; // how often the list was asked for: only the latest answer is drawn

async function ask(method, path, body) {
  const answer = await fetch(path, {method, body: body && JSON.stringify(body)});
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

// Runs what a person asked for: says what came of it, or why it did not.
async function attempt(act) {
  byId("said").textContent = byId("trouble").textContent = "";
  try {
    byId("said").textContent = await act();
  } catch (error) {
    byId("trouble").textContent = `That did not work: ${error.message}.`;
  }
}

// 3 March, with the year when it is another one.
function day(date) {
  const year = new Date(date).getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Date(date).toLocaleDateString("en-GB", {day: "numeric", month: "long", year});
}

// Today as the fields and the server write it.
function today() {
  return new Date().toLocaleDateString("sv-SE");
}

function since(iso) {
  const midnight = (date) => new Date(date).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(Date.now()) - midnight(iso)) / 86400000);
  if (days < 2) return ["today", "yesterday"][Math.max(days, 0)];
  return `${day(iso)} (${days} days)`;
}

function whereabouts(thing) {
  const owner = `${thing.owner}’s`;
  if (!thing.holder) return `${owner}, on the shelf`;
  const until = thing.back_by ? `, back by ${day(`${thing.back_by}T00:00`)}` : "";
  return `${owner}, with ${thing.holder} since ${since(thing.since)}${until}`;
}

function card(thing) {
  const item = byId("thing").content.cloneNode(true).firstElementChild;
  const [title, where, late, form, back, more] = item.children;
  const [past, off] = more.children;
  const {borrower, back_by: backBy} = form.elements;
  const [borrowerLabel, backByLabel] = form.querySelectorAll("label");
  title.textContent = thing.name;
  where.textContent = whereabouts(thing);
  item.id = `thing-${thing.id}`;
  item.classList.toggle("out", Boolean(thing.holder));
  form.hidden = Boolean(thing.holder);
  back.hidden = !thing.holder;
  off.hidden = Boolean(thing.holder);
  late.hidden = !thing.overdue;
  borrowerLabel.htmlFor = borrower.id = `borrower-${thing.id}`;
  backByLabel.htmlFor = backBy.id = `back-by-${thing.id}`;
  backBy.min = today();
  borrower.setAttribute("aria-label", `Borrower of ${thing.name}`);
  backBy.setAttribute("aria-label", `Back by, for ${thing.name}`);
  form.querySelector("button").setAttribute("aria-label", `Lend ${thing.name}`);
  back.setAttribute("aria-label", `Take back ${thing.name}`);
  past.setAttribute("aria-label", `Who had it: ${thing.name}`);
  off.setAttribute("aria-label", `Take off the shelf: ${thing.name}`);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const lent = await ask("POST", `/api/things/${thing.id}/loan`, {
        borrower: borrower.value, back_by: backBy.value || null,
      });
      show(lent).querySelector(".back").focus();
      return `${lent.name} is with ${lent.holder} now.`;
    });
  });
  back.addEventListener("click", () => attempt(async () => {
    const free = await ask("DELETE", `/api/things/${thing.id}/loan`);
    show(free).querySelector("input").focus();
    return `${free.name} is back on the shelf.`;
  }));
  past.addEventListener("click", () => attempt(async () => {
    showPast(thing, (await ask("GET", `/api/things/${thing.id}/loans`)).loans);
    return "";
  }));
  off.addEventListener("click", () => {
    if (!off.classList.contains("sure")) return makeSure(off, `Really take off: ${thing.name}`);
    attempt(async () => {
      const gone = await ask("DELETE", `/api/things/${thing.id}`);
      things.delete(gone.id);
      draw();
      byId("find").focus();
      return `${gone.name} is off the shelf.`;
    });
  });
  return item;
}

// The first press asks, the second one does; looking elsewhere takes the question back.
function makeSure(button, question) {
  const [words, label] = [button.textContent, button.getAttribute("aria-label")];
  button.textContent = "Really take it off";
  button.setAttribute("aria-label", question);
  button.classList.add("sure");
  button.addEventListener("blur", () => {
    button.textContent = words;
    button.setAttribute("aria-label", label);
    button.classList.remove("sure");
  }, {once: true});
}

// A dialog: Escape and Close end it, and the browser gives the focus back to the button that opened it.
function showPast(thing, loans) {
  byId("history-title").textContent = `Who had it: ${thing.name}`;
  byId("no-history").hidden = loans.length > 0;
  byId("loans").hidden = loans.length === 0;
  byId("loans").tBodies[0].replaceChildren(...loans.map((loan) => {
    const row = document.createElement("tr");
    for (const words of [loan.borrower, day(loan.lent_at), loan.returned_at ? day(loan.returned_at) : "out"]) {
      row.insertCell().textContent = words;
    }
    return row;
  }));
  byId("history").showModal();
}

function draw() {
  const sorted = [...things.values()].sort((a, b) => a.name.localeCompare(b.name) || a.id - b.id);
  byId("things").replaceChildren(...sorted.map(card));
  const out = sorted.filter((thing) => thing.holder).length;
  byId("count").textContent = things.size ? `${things.size} ${things.size > 1 ? "things" : "thing"}, ${out} out` : "";
  byId("table").href = "/api/things.csv" + filter();
  byId("empty").hidden = things.size > 0 || filter() !== "";
  byId("nothing").hidden = things.size > 0 || filter() === "";
}

// What the list is narrowed to, as a query; empty for everything.
function filter() {
  const query = new URLSearchParams();
  if (byId("find").value.trim()) query.set("q", byId("find").value);
  if (byId("free").checked) query.set("free", "1");
  return query.size ? `?${query}` : "";
}

async function load() {
  const mine = ++asked;
  const said = await ask("GET", "/api/things" + filter());
  if (mine !== asked) return "";
  things.clear();
  for (const thing of said.things) things.set(thing.id, thing);
  draw();
  return "";
}

// Takes up one thing as the server now tells it; returns its card.
function show(thing) {
  things.set(thing.id, thing);
  draw();
  return byId(`thing-${thing.id}`);
}

byId("put").addEventListener("submit", (event) => {
  event.preventDefault();
  const {name, owner} = event.target.elements;
  attempt(async () => {
    const added = show(await ask("POST", "/api/things", {name: name.value, owner: owner.value}));
    name.value = "";
    name.focus();
    return `${added.querySelector("h3").textContent} is on the shelf.`;
  });
});

let pause;
byId("find").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => attempt(load), 150);
});
byId("free").addEventListener("change", () => attempt(load));
byId("look").addEventListener("submit", (event) => event.preventDefault());

attempt(load);
