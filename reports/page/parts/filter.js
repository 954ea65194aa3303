// "mfu > 0.3, ep = 16, rack": conditions on columns, and words that a row's text must hold. A condition is decided once for every
// value that recurs, then carried over the rows a column at a time.
import { title_of } from '../format.js';

const kRelations = { '<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b, '=': (a, b) => a === b, '!=': (a, b) => a !== b };

function named_column(columns, name) {
  const wanted = name.trim().toLowerCase();
  return columns.find(c => [c.name, c.name.replace(/^.*\//, ''), title_of(c.name)].some(n => n.toLowerCase() === wanted)) ?? columns.find(c => c.name.toLowerCase().includes(wanted));
}

const value_of = text => text.trim() === 'true' ? true : text.trim() === 'false' ? false : text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text.trim();

// Marks rows whose value of this column holds.
function mark(marks, column, holds) {
  if (column.distinct) {
    const good = Uint8Array.from(column.distinct, holds), at = column.at;
    for (let i = 0; i < marks.length; ++i) marks[i] |= good[at[i]];
  } else {
    const values = column.values;
    for (let i = 0; i < marks.length; ++i) marks[i] |= holds(values[i]);
  }
}

function mark_part(marks, part, columns) {
  const match = part.match(/^(.+?)\s*(<=|>=|!=|<|>|=)\s*(.+)$/), column = match && named_column(columns, match[1]);
  if (column) {
    const wanted = value_of(match[3]), relation = kRelations[match[2]];
    return mark(marks, column, value => value !== null && relation(value, wanted));
  }
  const word = part.toLowerCase();
  for (const c of columns.filter(c => !c.numeric || c.name.startsWith('/'))) mark(marks, c, value => String(value).toLowerCase().includes(word));
}

// One for every row that the text keeps.
export function kept(text, columns, rows) {
  const all = new Uint8Array(rows).fill(1);
  for (const part of text.split(',').map(part => part.trim()).filter(Boolean)) {
    const marks = new Uint8Array(rows);
    mark_part(marks, part, columns);
    for (let i = 0; i < rows; ++i) all[i] &= marks[i];
  }
  return all;
}
