"use strict";
(function () {
  const table = document.getElementById("findings-table");
  const controls = document.getElementById("controls");
  if (!table || !controls) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const search = document.getElementById("search");
  const level = document.getElementById("level");
  const flags = Array.from(controls.querySelectorAll("input[data-flag]"));
  const shown = document.getElementById("shown");
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = Number(level.value);
    let count = 0;
    for (const row of rows) {
      const visible =
        Number(row.dataset.level) >= least &&
        words.every((word) => texts.get(row).includes(word)) &&
        flags.every((flag) => !flag.checked || row.hasAttribute("data-" + flag.dataset.flag));
      row.hidden = !visible;
      if (visible) count += 1;
    }
    shown.textContent = count + " of " + rows.length + " shown";
  }
  const collator = new Intl.Collator("en", { numeric: true });
  function sort(heading) {
    const index = heading.cellIndex;
    const first = heading.getAttribute("aria-sort");
    // Severity begins with the worst, all else with the first letter.
    const ascending = first ? first === "descending" : index !== 0;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (row) => (index === 0 ? row.dataset.level : row.cells[index].textContent);
    rows.sort((a, b) => collator.compare(key(a), key(b)) * (ascending ? 1 : -1));
    body.append(...rows);
  }
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => sort(heading));
  }
  for (const control of [search, level, ...flags]) control.addEventListener("input", filter);
  controls.hidden = false;
  filter();
})();
