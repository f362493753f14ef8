/* Keyboard shortcuts, for those who switched them on: each key presses a link or a button that the page shows. */
(d => {
const $ = (s, e = d) => e.querySelector(s), $$ = s => [...d.querySelectorAll(s)];
/* "archive=e inbox=gi": what a key does. */
const keys = Object.fromEntries(d.currentScript.dataset.keys.trim().split(" ").map(p => p.split(/=(.+)/).slice(0, 2).reverse()));
const b = v => `button[value=${v}]`, n = c => "#nav ." + c;
const press = {
  back: "a.back", older: "#pager [rel=next]", newer: "#pager [rel=prev]",
  archive: b`archive`, delete: b`trash` + "," + b`delete`, junk: b`junk`, unread: b`unread`, star: b`star` + "," + b`unstar`,
  reply: "a.reply", reply_all: "a.all", forward: "a.forward",
  view: 'article a:is([href$="?view=reading"],[href$="?view=formatted"]):not(.reading *)',
  undo: "#notice button", compose: n`compose`, inbox: n`inbox`, sent: n`sent`, drafts: n`drafts`, archived: n`archive`,
  help: '[href$="/help/keyboard"]'
};
/* What takes focus for each message: its link in a list; in a conversation the link that unfolds it, or its head. */
const rows = () => $$("#messages .subject,.fold,.head summary");
const box = e => e.closest("#messages tr,article.message");
const here = () => box(d.activeElement);
/* Where focus was in a list, and what came after it: there it goes on, when the list was left or changed meanwhile. */
let near = [0, 0], typed = "", since;
addEventListener("focusin", () => {
  const all = rows(), i = $("#messages") ? all.findIndex(r => box(r) == here()) : -1;
  if (all[i]) near = [all[i].href, all[i + 1]?.href];
});
const move = by => {
  const all = rows(), at = h => all.findIndex(r => r.href === h);
  let i = here() ? all.findIndex(r => box(r) == here()) : at(near[0]);
  if (i < 0) i = Math.max(at(near[1]), 0) - (by > 0);
  all[i + by]?.focus();
};
const act = name => {
  let row = here(), list = $("#messages"), e = !list && row && $(press[name], row) || $(press[name]);
  if (list && e?.name == "action") {
    const on = $$("#messages :checked"), to = on.length ? on.map(box) : row ? [row] : [];
    if (!to[0]) return;
    if (name == "star" && to.every(r => $(".star", r))) e = $(b`unstar`);
    if (!on[0]) $("input", row).click();
  }
  /* Not again while it is under way. */
  if (!e?.form?.matches(".htmx-request")) e?.click();
};
addEventListener("keydown", e => {
  const t = e.target;
  if (e.key?.length != 1 || e.ctrlKey || e.altKey || e.metaKey || e.isComposing || e.defaultPrevented || t.isContentEditable || t.matches("textarea,select,input:not([type=checkbox])")) return;
  /* As if Caps Lock were off. */
  const k = e.shiftKey ? e.key.toUpperCase() : e.key.toLowerCase();
  const two = typed && e.timeStamp - since < 5e3, name = keys[two ? typed + k : k], by = { next: 1, previous: -1 }[name];
  typed = k == "g" && !two ? k : "";
  since = e.timeStamp;
  if (!name || e.repeat && !by) return;
  e.preventDefault();
  if (by) move(by);
  else if (name == "search") $("#q")?.focus(), $("#q")?.select();
  else if (name == "open") rows().find(r => here() && box(r) == here())?.click();
  else if (name == "select") $("[type=checkbox]", here() || d.createElement("p"))?.click();
  else act(name);
});
})(document);
