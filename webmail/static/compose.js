/* Writing: files in pieces over lines that break, and names while they are typed. The composer works without this file. */
(d => {
if (self.composing) return;
self.composing = 1;
const $ = (s, e = d) => e.querySelector(s);
const on = (t, f) => addEventListener(t, f, true);
const form = () => $("#compose");
const make = (tag, props) => Object.assign(d.createElement(tag), props);
const pause = ms => new Promise(done => setTimeout(done, ms));
const words = () => ($("[name=attachment]").dataset.words || "# of # sent|Waiting for the connection|A file is still on its way: wait until it is attached.|This file could not be attached.|attached").split("|");
const size = n => n < 1e6 ? Math.ceil(n / 1e3) + " kB" : (n / 1e6).toFixed(1) + " MB";
const here = () => location.pathname.match(/^(\/box\/[^/]+)?/)[0];
const post = (url, body) => fetch(url, { method: "POST", body, headers: { "HX-Request": "true", Accept: "application/json" } });

/* Files of more than 256 kB go by themselves while one writes on; smaller ones go with the form. */
const LARGE = 256e3, SMALLEST = 32e3, LARGEST = 1e6;
let step = 128e3, pending = 0;
const line = name => {
  const p = make("p", { className: "f small", role: "status" }), told = make("span", { className: "quiet" });
  p.append(make("bdi", { textContent: name }), "\u00a0", told);
  $(".low", form()).before(p);
  return [p, text => told.textContent = text];
};
/* A draft is there before its files are. */
const saved = async () => {
  const f = form();
  if (f.revision.value > 0) return f;
  const body = new FormData(f);
  body.delete("attachment");
  body.set("save", 1);
  const r = await post(f.action, body);
  if (!r.ok) throw r;
  const state = await r.json();
  for (const n of ["draft_id", "revision"]) f[n].value = state[n];
  return f;
};
const send = async (file, say) => {
  let offset = -1, misses = 0;
  for (;;) {
    try {
      const f = await saved(), body = new FormData(), began = Date.now();
      const told = { csrf_token: f.csrf_token.value, draft: f.draft_id.value, name: file.name, type: file.type, total: file.size, mark: file.lastModified, offset: Math.max(offset, 0) };
      for (const n in told) body.set(n, told[n]);
      /* After a break the first question is how much is there. */
      if (offset >= 0) body.set("piece", file.slice(offset, offset + step));
      const r = await post(here() + "/compose/upload", body);
      if (r.status > 499) throw 0;
      if (!r.ok) throw r;
      const state = await r.json();
      const took = Date.now() - began;
      if (offset >= 0) step = took > 6e3 ? Math.max(step / 2, SMALLEST) : took < 1500 ? Math.min(step * 2, LARGEST) : step;
      offset = state.offset;
      misses = 0;
      if (state.done) return;
      let n = [size(offset), size(file.size)];
      say(words()[0].replace(/#/g, () => n.shift()));
    } catch (problem) {
      if (problem.status) throw problem;
      offset = -1;
      step = Math.max(step / 2, SMALLEST);
      say(words()[1]);
      await pause(Math.min(1e3 * 2 ** misses++, 3e4));
    }
  }
};
/* The list of files as the server has it, put into the page beside what is being typed. */
const list = async () => {
  const f = form(), r = await fetch(here() + "/compose?draft=" + f.draft_id.value, { headers: { "HX-Request": "true" } });
  const fresh = $(".files", make("template", { innerHTML: await r.text() }).content), old = $(".files", f);
  if (old && fresh) old.replaceWith(fresh); else if (fresh) $("#body", f).after(fresh);
};
const attach = async file => {
  const [p, say] = line(file.name);
  say(words()[0].replace("#", "0 kB").replace("#", size(file.size)));
  try {
    await send(file, say);
    say(words()[4]);
    await list();
    setTimeout(() => p.remove(), 4e3);
  } catch (problem) {
    const told = problem.json ? await problem.json().catch(() => ({})) : {};
    p.role = "alert";
    say(told.problem || words()[3]);
  }
};
on("change", async e => {
  const t = e.target;
  if (t.name != "attachment" || !t.closest("#compose")) return;
  const large = [...t.files].filter(file => file.size > LARGE), rest = new DataTransfer();
  for (const file of t.files) if (file.size <= LARGE) rest.items.add(file);
  t.files = rest.files;
  pending += large.length;
  for (const file of large) await attach(file), pending--;
  if (!pending) $("#late")?.remove();
});
on("submit", e => {
  if (!pending || e.target != form() || e.submitter?.name == "discard") return;
  e.preventDefault();
  e.stopImmediatePropagation();
  $("#late")?.remove();
  $(".low", form()).before(make("p", { id: "late", className: "f err", role: "alert", textContent: words()[2] }));
});
on("beforeunload", e => pending && e.preventDefault());

/* A picture is put where one writes. */
on("click", e => {
  const b = e.target.closest("#compose [name=show]"), t = $("#body");
  if (!b) return;
  e.preventDefault();
  const name = $("bdi", b.closest("tr")).textContent, at = t.selectionEnd;
  t.setRangeText("\n![" + name.replace(/\.[^.]*$|[[\]]/g, "") + "](" + (/[()]/.test(name) ? "<" + name + ">" : name) + ")\n", at, at, "end");
  form().formatted.checked = true;
  t.focus();
});

/* Names: a list below the field, by keys or pointer (the combobox of the ARIA practices guide). */
const typed = t => /^(?:to|cc|bcc)$/.test(t.name) && t.closest("#compose");
const last = v => v.slice(v.search(/[^,;]*$/)).trim();
let box, field, at, timer, asked;
const shut = () => {
  clearTimeout(timer);
  box?.remove();
  if (field) field.ariaExpanded = "false", field.removeAttribute("aria-activedescendant");
  box = at = null;
};
const take = option => {
  const v = field.value;
  field.value = v.slice(0, v.search(/[^,;]*$/)).trimEnd() + (/[,;]/.test(v) ? " " : "") + option.textContent + ", ";
  shut();
};
const point = to => {
  const all = [...box.children];
  at = all[(all.indexOf(at) + to + all.length + (all.indexOf(at) < 0 && to < 0 ? 1 : 0)) % all.length];
  for (const o of all) o.ariaSelected = o == at ? "true" : "false", o.style.background = o == at ? "var(--tint)" : "";
  field.setAttribute("aria-activedescendant", at.id);
};
const open = found => {
  shut();
  if (!found.length || d.activeElement != field) return;
  box = make("ul", { className: "hint", id: "people", role: "listbox", ariaLabel: field.labels[0].textContent });
  Object.assign(box.style, { display: "block", listStyle: "none", padding: "4px" });
  found.forEach((text, n) => {
    const o = make("li", { id: "person" + n, role: "option", ariaSelected: "false", textContent: text, dir: "auto" });
    Object.assign(o.style, { padding: "6px 10px", cursor: "pointer", overflowWrap: "anywhere" });
    box.append(o);
  });
  field.parentNode.style.position = "relative";
  field.parentNode.append(box);
  field.ariaExpanded = "true";
};
on("focusin", e => {
  const t = e.target;
  if (!typed(t)) return;
  t.removeAttribute("list");
  Object.assign(t, { role: "combobox", ariaAutoComplete: "list" });
  t.ariaExpanded ??= "false";
  t.setAttribute("aria-controls", "people");
});
on("input", e => {
  if (!typed(e.target)) return;
  field = e.target;
  const q = last(field.value);
  shut();
  if (q.length > 1 && !q.includes(">")) timer = setTimeout(async () => {
    asked = q;
    try {
      const r = await fetch(here() + "/contacts/suggest?q=" + encodeURIComponent(q));
      const found = r.ok ? await r.json() : [];
      if (asked == q) open(found);
    } catch {}
  }, 150);
});
on("keydown", e => {
  if (!box || e.target != field) return;
  if (e.key == "ArrowDown") point(1);
  else if (e.key == "ArrowUp") point(-1);
  else if (e.key == "Escape") shut();
  else if ((e.key == "Enter" || e.key == "Tab") && at) take(at);
  else return;
  e.preventDefault();
  e.stopPropagation();
});
on("mousedown", e => {
  const option = box && e.target.closest("#people li");
  if (option) e.preventDefault(), take(option);
});
on("focusout", e => e.target == field && shut());
})(document);
