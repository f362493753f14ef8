/* What links and forms alone cannot do. Every page works without this file. */
(d => {
const $ = (s, e = d) => e.querySelector(s), $$ = s => [...d.querySelectorAll(s)];
const on = (t, f) => addEventListener(t, f, true), swap = (t, f) => on("htmx:" + t, e => f(e.detail.ctx, e));
const paper = $("[data-print]");
if (paper) return paper.hidden = 0, paper.onclick = () => print();
/* No time limit: on a slow line a letter may take minutes to go. These answers keep the page as it is. */
Object.assign(htmx.config, { defaultTimeout: 0, noSwap: [204, 304, 401, 502, 503] });
d.cookie = "tz=" + Intl.DateTimeFormat().resolvedOptions().timeZone + "; path=/";
let kept;
const make = (tag, props) => Object.assign(d.createElement(tag), props);
const words = (d.body.dataset.words || "Loading|# selected|New mail|We could not reach the server. Nothing is lost; try again.|You are signed out. What you wrote is still here.|Sign in again|Saved").split("|"), main = () => $("#content"), here = () => location.pathname + location.search;
const live = make("p", { className: "vh", ariaLive: "polite" });
d.body.append(live);
const say = text => live.textContent = text;
const alarm = (text, href) => {
  const p = make("p", { id: "alarm", role: "alert", textContent: text + " " });
  if (href) p.append(make("a", { href, textContent: words[5], target: "_blank" }));
  $("#alarm")?.remove();
  main().prepend(p);
};
const stale = () => alarm(words[4], "/auth/resync?next=" + ($("#compose") ? "/auth/done" : encodeURIComponent(here())));
const lost = () => { alarm(words[3]); kept &&= 0; };

/* List: all, and how many. */
const count = all => {
  const n = $$("#messages :checked").length, out = $("[data-count]");
  if (!all) return;
  all.checked = n == $$("#messages [name=id]").length;
  all.indeterminate = n;
  out.dataset.count ||= out.textContent;
  out.textContent = n ? words[1].replace("#", n) : out.dataset.count;
};
on("click", e => {
  const t = e.target, all = $("#all input");
  if (t == all) $$("#messages [name=id]").forEach(b => b.checked = t.checked);
  count(all);
  if (t.matches("#dock .more")) e.preventDefault(), $("#nav").classList.toggle("open");
  shut(t);
});
/* A menu closes when the eye is elsewhere; Escape gives the focus back to what opened it. */
const shut = t => $$(".menu[open]").forEach(m => m.open = m.contains(t));
on("keyup", ({ key, target }) => {
  if (key == "Tab") shut(target);
  if (key == "Escape") $(".menu[open] summary")?.focus(), shut();
});

/* Composer: saved every 20 s if it changed, and when the page is left or out of sight. */
const text = f => f && ["to", "cc", "bcc", "subject", "body"].map(n => f[n].value).join("\0");
const changed = () => text($("#compose")) != kept;
const save = async () => {
  const f = $("#compose"), now = text(f);
  if (now == kept) return;
  const body = new FormData(f);
  body.delete("attachment");
  body.set("save", 1);
  try {
    const r = await fetch(f.action, { method: "POST", body, headers: { "HX-Request": "true", Accept: "application/json" }, keepalive: now.length < 5e4 });
    if (r.status == 401) return stale();
    const page = make("template", { innerHTML: r.ok ? "" : await r.text() }).content;
    const state = r.ok ? await r.json() : {};
    for (const n of ["draft_id", "revision"]) f[n].value = state[n] ?? $(`[name=${n}]`, page)?.value ?? f[n].value;
    if (r.ok) $("#saved", f).textContent = words[6] + " " + state.saved_at;
    else alarm($("[role=alert]", page)?.textContent || words[3]);
    kept = now;
  } catch { lost(); }
};
on("submit", e => kept = text($("#compose")));
on("beforeunload", e => changed() && e.preventDefault());
setInterval(save, 2e4);

/* New mail: a conditional request, rarer while nothing comes, none with Save-Data. */
let wait, timer;
const later = ms => { clearTimeout(timer); if (!navigator.connection?.saveData) timer = setTimeout(poll, ms); };
const poll = async () => {
  const target = main(), { unread, v } = target.dataset;
  if (!d.hidden && v && !$(":checked,details[open]", target)) {
    await htmx.ajax("GET", here(), { target, swap: "outerMorph", quiet: 1, headers: { "If-None-Match": v } });
    if (parseInt(main().dataset.unread) > parseInt(unread)) say(words[2]), wait = 4e4;
  }
  later(wait = Math.min(wait * 1.4, 6e5));
};
later(wait = 6e4);
on("visibilitychange", () => d.hidden ? save() : later(3e3, wait = 4e4));

/* Swaps: a bar and a word when slow; focus and title where the eye is; Back without the network. */
const seen = new Map();
let focus, busy, spoken;
swap("before:request", (ctx, e) => {
  /* A table of deliveries that asks again by itself: nobody acted, so nothing else moves. */
  if (ctx.target.tagName == "TABLE") ctx.quiet = 1, navigator.connection?.saveData && e.preventDefault();
  if (ctx.quiet) return;
  const a = d.activeElement;
  focus = a.name ? `[name="${a.name}"][value="${CSS.escape(a.value)}"]` : "main";
  save();
  busy = setTimeout(() => d.body.classList.add("busy"), 150);
  spoken = setTimeout(say, 1e3, words[0]);
});
swap("finally:request", () => {
  clearTimeout(busy);
  clearTimeout(spoken);
  d.body.classList.remove("busy");
});
swap("error", lost);
swap("response:error", ctx => ctx.response.status > 501 && lost());
on("auth-stale", stale);
swap("after:request", ctx => {
  /* A whole page came where a fragment was asked for, or for a step in the history: take its main part, keep the frame. */
  if (/^\s*<!doctype/i.test(ctx.text)) Object.assign(ctx, { select: "#content", target: main(), swap: "outerHTML" });
  if (ctx.request.method != "GET") seen.clear();
});
/* No answer of ours carries parts for elsewhere: one that does came out of somebody's mail. */
swap("before:swap", (ctx, e) => e.detail.tasks.some(t => t.type != "main") && e.preventDefault());
swap("before:history:update", (ctx, { detail: { history: { type, path } } }) => {
  const page = main();
  const row = $(`.u .subject[href="${path}"]`, page)?.closest("tr"), out = $("[data-count]", page);
  if (row) row.classList.remove("u"), $("b.vh", row).remove(), out.textContent = out.dataset.count = out.dataset.count.replace(/^\d+/, n => n - 1);
  $("#notice", page)?.remove();
  if (type == "push") seen.set(here(), [page, scrollY]);
});
swap("before:history:restore", (ctx, e) => {
  const [page, top] = seen.get(e.detail.path) || [];
  if (!page) return;
  e.preventDefault();
  const { unread } = main().dataset;
  main().replaceWith(page.cloneNode(true));
  if (unread) main().dataset.unread = unread;
  htmx.process(main());
  scrollTo(0, top);
  settle();
});
const settle = () => {
  const h = $("#content h1"), q = $("#q"), all = $("#all:empty"), n = main().dataset.unread?.split(" ");
  d.title = h.textContent + " · mtumail";
  if (q && q != d.activeElement) q.value = new URLSearchParams(location.search).get("q");
  if (all) all.append(make("input", { type: "checkbox", ariaLabel: all.dataset.label }));
  $("#nav")?.classList.remove("open");
  const path = location.pathname.replace(/\/$/, "/mail/inbox") + "/";
  $$("#nav li a,#dock a").forEach((a, i) => {
    const now = path.startsWith(a.pathname + "/") && !a.hash;
    a.ariaCurrent = now ? "page" : null;
    if (n?.[i]) ($(".num", a) || a.appendChild(make("span", { className: "num" }))).textContent = +n[i] || "";
  });
  /* What scrolls by itself can be reached by keys in every browser. */
  $$(".reading :is(pre,table)").forEach(e => e.scrollWidth > e.clientWidth && (e.tabIndex = 0));
  kept = text($("#compose"));
  count($("#all input"));
};
swap("after:swap", ctx => {
  settle();
  if (ctx.quiet) return;
  say($("#notice")?.textContent || d.title);
  /* What had the focus may be in a closed menu now, and not take it. */
  for (const e of [$(focus), main()]) $("#content :focus") || e?.focus({ preventScroll: true });
});
settle();
})(document);
