// A click on a column's heading sorts the table by it, the second click the other way round.
for (const heading of document.querySelectorAll("th")) {
  heading.addEventListener("click", () => {
    const body = heading.closest("table").tBodies[0];
    const falling = heading.classList.contains("number")
      ? heading.ariaSort !== "descending" : heading.ariaSort === "ascending";
    const value = (row) => row.cells[heading.cellIndex].dataset.key ?? row.cells[heading.cellIndex].textContent;
    const empty = (row) => value(row) === "–";
    const order = (one, other) => value(one).localeCompare(value(other), undefined, { numeric: true });
    const number = (one, other) => Number(value(one)) - Number(value(other));
    body.append(...[...body.rows].sort((one, other) => {
      const by = number(one, other);
      return empty(one) - empty(other) || (falling ? -1 : 1) * (Number.isNaN(by) ? order(one, other) : by);
    }));
    for (const cell of heading.parentNode.cells) cell.ariaSort = null;
    heading.ariaSort = falling ? "descending" : "ascending";
  });
}
