// Where a model looks: a small picture becomes the large one, a token shows what it takes from the others.
(() => {
  const DARKNESS = 0.6;
  const unpack = (text) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return (place) => view.getUint16(2 * place, true) / 65535;
  };
  const percent = (share) => (share >= 0.005 ? `${Math.round(100 * share)}%` : "\u00a0");

  for (const part of document.querySelectorAll(".look")) {
    const stored = JSON.parse(part.parentElement.querySelector('script[type="application/json"]').textContent);
    const share = unpack(stored.values), rows = stored.queries.length, columns = stored.keys.length;
    const tiles = [...part.querySelectorAll(".tile")], sources = [...part.querySelectorAll(".from .token")];
    const targets = [...part.querySelectorAll(".to .token")];
    const large = part.querySelector(".large"), picture = large.querySelector(".picture"), cell = picture.querySelector(".cell");
    const under = large.querySelector(".under span"), named = large.querySelector(".of-head");
    const rowNames = [...large.querySelectorAll(".rows span")], columnNames = [...large.querySelectorAll(".columns span")];
    const pressed = (buttons) => buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
    let head = pressed(tiles), query = pressed(sources);
    const at = (row, column) => share((head * rows + row) * columns + column);
    const press = (buttons, number) =>
      buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === number)));

    const showQuery = (number) => {
      press(sources, number);
      targets.forEach((target, key) => {
        const taken = at(number, key);
        target.style.setProperty("--share", Math.pow(taken, DARKNESS).toFixed(3));
        target.querySelector("small").textContent = percent(taken);
      });
    };
    const showHead = (number) => {
      head = number;
      press(tiles, number);
      picture.querySelector("img").src = tiles[number].dataset.full || tiles[number].querySelector("img").src;
      named.innerHTML = tiles[number].querySelector(".name").innerHTML;
      showQuery(query);
    };
    tiles.forEach((tile, number) => {
      tile.addEventListener("click", () => {
        showHead(number);
        // On a narrow screen the large picture is below all the small ones.
        if (large.getBoundingClientRect().top > innerHeight * 0.8) large.scrollIntoView({ behavior: "smooth" });
      });
      tile.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -stored.num_heads, ArrowDown: stored.num_heads }[event.key];
        const next = tiles[number + move];
        if (!next) return;
        event.preventDefault();
        next.focus();
        showHead(number + move);
      });
    });
    sources.forEach((source, number) => {
      source.addEventListener("click", () => { query = number; showQuery(number); });
      source.addEventListener("pointerenter", () => showQuery(number));
      source.addEventListener("pointerleave", () => showQuery(query));
    });

    const mark = (names, number) => names.forEach((name, index) => name.classList.toggle("is-met", index === number));
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const row = Math.min(rows - 1, Math.max(0, Math.floor((rows * (event.clientY - box.top)) / box.height)));
      const column = Math.min(columns - 1, Math.max(0, Math.floor((columns * (event.clientX - box.left)) / box.width)));
      cell.style.cssText = `top:${(100 * row) / rows}%;left:${(100 * column) / columns}%;height:${100 / rows}%;width:${100 / columns}%;visibility:visible`;
      under.textContent = `${stored.queries[row].trim() || "␣"} → ${stored.keys[column].trim() || "␣"}   ${at(row, column).toFixed(3)}`;
      mark(rowNames, row);
      mark(columnNames, column);
    });
    picture.addEventListener("pointerleave", () => {
      cell.style.visibility = "hidden";
      under.textContent = "\u00a0";
      mark(rowNames, -1);
      mark(columnNames, -1);
    });
  }
})();
