// Where the numbers come from, what was assumed, and how to ask again.
import { copy_button, h, named } from '../dom.js';
import { change, count, percent } from '../format.js';
import { table } from '../table.js';

const kMeaning = { measured: 'an exact measurement', fitted: "inside this device's own fit", extrapolated: 'borrowed from the nearest relative, or beyond the measured range', bound: 'a floor from the datasheet', assumed: 'nothing published or measured stands behind it' };

export function provenance(answer) {
  const facts = (answer.page?.facts ?? []).filter(f => f.source), fits = answer.page?.fits ?? [], content = [];
  if (answer.source) content.push(h('p', {}, `The weakest source that matters is “${answer.source}”: ${kMeaning[answer.source] ?? ''}.`));
  if (answer.assumptions?.length) content.push(h('h3', {}, 'Assumptions in force'), h('ul', {}, answer.assumptions.map(text => h('li', { dir: 'auto' }, named(text, 'span', 1000)))));
  if (facts.length) content.push(h('details', {}, h('summary', {}, `${facts.length} facts of the machine, with sources`), table([
    { title: 'fact', value: f => f.path.replaceAll('/', ' / ').replaceAll('_', ' '), class: 'name' }, { title: 'value', value: f => f.value },
    { title: 'source', value: f => (f.inferred ? 'inferred: ' : '') + f.source, class: 'long' }], facts, { label: 'Facts' })));
  if (fits.length) content.push(h('details', {}, h('summary', {}, `${fits.length} fits, with their errors`), h('p', { class: 'lead' }, 'Errors of predicted over measured, on groups of shapes that the fit never saw where there were several.'), table([
    { title: 'operation', value: f => f.operation, class: 'name' }, { title: 'of', value: f => f.own ? f.device : `${f.device} (borrowed)` }, { title: 'library', value: f => f.library }, { title: 'format', value: f => f.dtype },
    { title: 'rows', number: true, value: f => f.n, text: f => count(f.n) }, { title: 'mean error', number: true, value: f => f.mean_abs_error, text: f => percent(f.mean_abs_error) },
    { title: 'p90', number: true, value: f => f.p90_abs_error, text: f => percent(f.p90_abs_error) }, { title: 'bias', number: true, value: f => f.bias, text: f => change(f.bias) },
    { title: 'measured by', value: f => f.source, class: 'long' }], fits, { label: 'Fits' })));
  return content.length ? { id: 'sources', title: 'Where the numbers come from', content } : null;
}

export function again(answer, command) {
  const content = [];
  if (command) content.push(h('h3', {}, 'Command'), h('div', { class: 'copyable' }, copy_button(command, 'the command'), h('pre', { dir: 'auto', tabindex: 0 }, command)));
  if (answer.scenario) {
    const text = JSON.stringify(answer.scenario, null, 2);
    content.push(h('h3', {}, 'Scenario, as understood'), h('div', { class: 'copyable' }, copy_button(text, 'the scenario'), h('pre', { tabindex: 0 }, text)));
  }
  return content.length ? { id: 'again', title: 'To ask again', content } : null;
}
