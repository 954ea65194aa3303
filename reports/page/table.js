// Small tables whole, sortable by their heads.
import { h, named } from './dom.js';

// columns: {title, value: row -> sortable, text: row -> string or node, number, class}
export function table(columns, rows, { sort = null, label } = {}) {
  const body = h('tbody');
  let by = sort, down = true;
  const fill = () => {
    const list = by === null ? rows : [...rows].sort((a, b) => {
      const [x, y] = [columns[by].value(a), columns[by].value(b)];
      const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
      return down ? -order : order;
    });
    body.replaceChildren(...list.map(row => h('tr', {}, columns.map(column => {
      const text = column.text ? column.text(row) : column.value(row);
      return h('td', { class: [column.number && 'number', column.class].filter(Boolean).join(' ') || null },
        typeof text === 'string' && !column.number ? named(text, 'span') : text);
    }))));
  };
  const heads = columns.map((column, i) => h('th', { class: column.number && 'number', scope: 'col' },
    column.value ? h('button', { type: 'button', onclick: () => {
      down = by === i ? !down : !!column.number;
      by = i;
      heads.forEach((head, j) => head.setAttribute('aria-sort', j !== by ? 'none' : down ? 'descending' : 'ascending'));
      fill();
    } }, column.title) : column.title));
  fill();
  return h('div', { class: 'scroll' }, h('table', { 'aria-label': label }, h('thead', {}, h('tr', {}, heads)), body));
}
