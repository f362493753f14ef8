/* Bringing files in, in pieces: what breaks off goes on where it was, also after the page was left. The form works without this file. */
(d => {
if (self.bringing) return;
self.bringing = 1;
const SMALLEST = 32e3, LARGEST = 4e6;
let step = 256e3;
const pause = ms => new Promise(done => setTimeout(done, ms));
const size = n => n < 1e6 ? Math.ceil(n / 1e3) + " kB" : (n / 1e6).toFixed(1) + " MB";
const send = async (form, file, say, words) => {
  let told = null, misses = 0;
  for (;;) {
    try {
      const body = new FormData(), began = Date.now();
      body.set("csrf_token", form.csrf_token.value);
      if (!told) {
        body.set("name", file.name);
        body.set("total", file.size);
        body.set("folder", form.folder.value);
      } else {
        body.set("import", told.import);
        body.set("offset", told.offset);
        body.set("piece", file.slice(told.offset, told.offset + step));
      }
      const r = await fetch(form.dataset.pieces, { method: "POST", body, headers: { Accept: "application/json" } });
      if (r.status > 499) throw 0;
      if (!r.ok) throw r;
      const took = Date.now() - began;
      if (told) step = took > 6e3 ? Math.max(step / 2, SMALLEST) : took < 1500 ? Math.min(step * 2, LARGEST) : step;
      told = await r.json();
      misses = 0;
      if (told.done) return;
      const n = [size(told.offset), size(file.size)];
      say(words[0].replace(/#/g, () => n.shift()), told.offset / file.size);
    } catch (problem) {
      if (problem.status) throw problem;
      step = Math.max(step / 2, SMALLEST);
      say(words[1]);
      await pause(Math.min(1e3 * 2 ** misses++, 3e4));
      told = null; /* It is asked for again by its name and size, and says how much is there. */
    }
  }
};
addEventListener("submit", async e => {
  const form = e.target;
  if (!form.dataset.pieces) return;
  e.preventDefault();
  e.stopPropagation();
  const words = form.dataset.words.split("|"), list = d.getElementById("coming"), files = [...form.file.files].filter(file => file.size);
  const button = form.querySelector("button");
  button.disabled = true;
  let failed = 0;
  for (const file of files) {
    const line = d.createElement("p"), name = d.createElement("bdi"), said = d.createElement("span"), bar = d.createElement("progress");
    name.textContent = bar.ariaLabel = file.name;
    bar.value = 0;
    line.append(name, " ", bar, " ", said);
    list.append(line);
    try {
      await send(form, file, (text, part) => { said.textContent = text; if (part >= 0) bar.value = part; }, words);
      said.textContent = words[2];
      bar.value = 1;
    } catch (problem) {
      const told = problem.json ? await problem.json().catch(() => ({})) : {};
      line.setAttribute("role", "alert");
      said.textContent = told.problem || words[3];
      failed++;
    }
  }
  button.disabled = false;
  form.file.value = "";
  if (!failed) location.reload();
}, true);
})(document);
