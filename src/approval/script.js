// Searching, sorting and the reader's own time. The page is whole without it.
'use strict';
for (const time of document.querySelectorAll('time[datetime]')) {
  const digits = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  time.textContent = new Date(time.dateTime).toLocaleTimeString('en-GB', { ...digits, timeZoneName: 'short' });
}
for (const section of document.querySelectorAll('[data-persons]')) {
  const body = section.querySelector('tbody');
  const rows = [...body.rows];
  if (rows.length < 2) continue;

  const find = document.createElement('div');
  find.className = 'find';
  const label = document.createElement('label');
  label.textContent = 'Find ';
  const input = document.createElement('input');
  input.type = 'search';
  label.append(input);
  const shown = document.createElement('p');
  shown.className = 'shown';
  shown.setAttribute('role', 'status');
  find.append(label, shown);
  section.querySelector('table').before(find);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      if (!row.hidden) count += 1;
    });
    shown.textContent = words.length
      ? `${count} of ${rows.length} persons shown; your answer is about all ${rows.length}.`
      : '';
  });

  const heads = [...section.querySelectorAll('th')];
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const order = new Intl.Collator('en', { numeric: true }).compare;
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const sorted = [...rows].sort((a, b) => order(key(a, column), key(b, column)) * (down ? -1 : 1));
      body.append(...sorted);
    });
  });
}
