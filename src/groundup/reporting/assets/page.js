"use strict";
// Convenience only: the page is complete without it. It remembers the language, shows values under the pointer, copies.
(() => {
  const switches = { en: document.getElementById("language-en"), zh: document.getElementById("language-zh") };
  const speak = (name) => {
    switches[name].checked = true;
    document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
  };
  const stored = (value) => {
    // A page opened from a file may have no storage.
    try {
      if (value === undefined) return localStorage.getItem("groundup-language");
      localStorage.setItem("groundup-language", value);
    } catch { /* then the choice lasts as long as the page */ }
    return null;
  };
  const wished = new URLSearchParams(location.search).get("lang") || stored() || navigator.language || "en";
  speak(wished.startsWith("zh") ? "zh" : "en");
  for (const [name, button] of Object.entries(switches)) {
    button.addEventListener("change", () => { speak(name); stored(name); });
  }

  for (const figure of document.querySelectorAll(".chart")) {
    const svg = figure.querySelector("svg"), hair = svg.querySelector(".hair");
    const lines = [...svg.querySelectorAll(".line")].map((path) => ({
      at: path.dataset.at.split(" ").map(Number), x: path.dataset.x.split(" "), y: path.dataset.y.split(" "),
    }));
    const values = [...figure.querySelectorAll(".series")].map((item) => item.querySelector("b"));
    const place = figure.querySelector(".at b"), usual = [...values, place].map((item) => item && item.textContent);
    const nearest = (line, share) =>
      line.at.reduce((best, at, index) => (Math.abs(at - share) < Math.abs(line.at[best] - share) ? index : best), 0);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
      const shown = lines.filter((_, index) => values[index]);
      const leading = shown.reduce((a, b) => (b.at.length > a.at.length ? b : a));
      const chosen = nearest(leading, share);
      lines.forEach((line, index) => {
        if (values[index]) values[index].textContent = line.y[nearest(line, leading.at[chosen])];
      });
      place.textContent = leading.x[chosen];
      hair.setAttribute("transform", `translate(${1000 * leading.at[chosen]} 0)`);
      hair.style.visibility = "visible";
    });
    svg.addEventListener("pointerleave", () => {
      [...values, place].forEach((item, index) => { if (item) item.textContent = usual[index]; });
      hair.style.visibility = "hidden";
    });
  }

  for (const box of document.querySelectorAll(".code")) {
    const button = box.querySelector(".copy");
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("code").textContent);
      button.classList.add("is-done");
      setTimeout(() => button.classList.remove("is-done"), 1500);
    });
  }
})();
