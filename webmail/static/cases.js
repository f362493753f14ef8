/* Keys in the cases, for those who switched shortcuts on: j and k move, o opens, a takes, n notes, r answers, x closes. */
(d => {
const rows = () => [...d.querySelectorAll("#cases a,[data-key=o]")];
addEventListener("keydown", e => {
  const t = e.target, k = e.key;
  if (k?.length != 1 || e.ctrlKey || e.altKey || e.metaKey || e.isComposing || e.defaultPrevented || t.matches("textarea,select,input:not([type=checkbox])")) return;
  const all = rows(), i = all.indexOf(d.activeElement), to = { j: i + 1, k: i - 1 }[k];
  const e2 = k == "o" && i >= 0 ? all[i] : k == "u" ? d.querySelector("[accesskey=u]") : /^[anorx]$/.test(k) && d.querySelector(`[data-key=${k}]`);
  if (to === undefined && !e2) return;
  e.preventDefault();
  if (e2) e2.matches("a,button") ? e2.click() : e2.focus();
  else all[Math.max(0, Math.min(to, all.length - 1))]?.focus();
});
})(document);
