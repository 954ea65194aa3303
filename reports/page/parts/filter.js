// "mfu > 0.3, ep = 16, rack" as one test of a row: conditions on columns, and words that a row's text must hold.
import { title_of } from '../format.js';

const kRelations = { '<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b, '=': (a, b) => a === b, '!=': (a, b) => a !== b };

function named_column(columns, name) {
  const wanted = name.trim().toLowerCase();
  return columns.find(c => [c.name, c.name.replace(/^.*\//, ''), title_of(c.name)].some(n => n.toLowerCase() === wanted)) ?? columns.find(c => c.name.toLowerCase().includes(wanted));
}

const value_of = text => text.trim() === 'true' ? true : text.trim() === 'false' ? false : text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text.trim();

function test_of(part, columns) {
  const match = part.match(/^(.+?)\s*(<=|>=|!=|<|>|=)\s*(.+)$/), column = match && named_column(columns, match[1]);
  if (column) {
    const wanted = value_of(match[3]), relation = kRelations[match[2]];
    if (column.distinct) {
      const answers = new Map(column.distinct.map(value => [value, value !== null && relation(value, wanted)]));
      return row => answers.get(column.values[row]);
    }
    return row => column.values[row] !== null && relation(column.values[row], wanted);
  }
  const word = part.toLowerCase(), texts = columns.filter(c => !c.numeric || c.name.startsWith('/'));
  const found = texts.map(c => [c, new Map([...new Set(c.values)].map(value => [value, String(value).toLowerCase().includes(word)]))]);
  return row => found.some(([c, holds]) => holds.get(c.values[row]));
}

export function condition_of(text, columns) {
  const tests = text.split(',').map(part => part.trim()).filter(Boolean).map(part => test_of(part, columns));
  return { holds: row => tests.every(test => test(row)) };
}
