// Draws the shelf and passes on what is typed and pressed. The server decides; the page only shows what it said.
"use strict";

const byId = (id) => document.getElementById(id);
const things = new Map(); // id → thing, as the server last told it

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

function since(iso) {
  const midnight = (date) => new Date(date).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(Date.now()) - midnight(iso)) / 86400000);
  if (days < 2) return ["today", "yesterday"][Math.max(days, 0)];
  return `${new Date(iso).toLocaleDateString("en-GB", {day: "numeric", month: "long"})} (${days} days)`;
}

function whereabouts(thing) {
  const owner = `${thing.owner}’s`;
  return thing.holder ? `${owner}, with ${thing.holder} since ${since(thing.since)}` : `${owner}, on the shelf`;
}

function card(thing) {
  const item = byId("thing").content.cloneNode(true).firstElementChild;
  const [title, where, form, back] = item.children;
  const [label, borrower, lend] = form.querySelectorAll("label, input, button");
  title.textContent = thing.name;
  where.textContent = whereabouts(thing);
  item.id = `thing-${thing.id}`;
  item.classList.toggle("out", Boolean(thing.holder));
  form.hidden = Boolean(thing.holder);
  back.hidden = !thing.holder;
  label.htmlFor = borrower.id = `borrower-${thing.id}`;
  borrower.setAttribute("aria-label", `Borrower of ${thing.name}`);
  lend.setAttribute("aria-label", `Lend ${thing.name}`);
  back.setAttribute("aria-label", `Take back ${thing.name}`);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const lent = await ask("POST", `/api/things/${thing.id}/loan`, {borrower: borrower.value});
      show(lent).querySelector(".back").focus();
      return `${lent.name} is with ${lent.holder} now.`;
    });
  });
  back.addEventListener("click", () => attempt(async () => {
    const free = await ask("DELETE", `/api/things/${thing.id}/loan`);
    show(free).querySelector("input").focus();
    return `${free.name} is back on the shelf.`;
  }));
  return item;
}

function draw() {
  const sorted = [...things.values()].sort((a, b) => a.name.localeCompare(b.name) || a.id - b.id);
  byId("things").replaceChildren(...sorted.map(card));
  byId("empty").hidden = things.size > 0;
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

attempt(async () => {
  for (const thing of (await ask("GET", "/api/things")).things) things.set(thing.id, thing);
  draw();
  return "";
});
