// Several saved results: their figures and parts side by side, then each in full.
import { axis, figure, legend, name_axis, narrow, tip } from '../charts.js';
import { h, named, shortened } from '../dom.js';
import { bytes, count, percent, seconds } from '../format.js';
import { total_of } from '../parts/breakdown.js';
import { table } from '../table.js';

const label_of = answer => (answer.file ?? answer.kind).replace(/^.*\//, '').replace(/\.json$/, '');
const timed = answer => answer.breakdown && answer.feasible !== false;

function parts_chart(answers) {
  const totals = new Map();
  for (const a of answers) for (const row of a.breakdown) totals.set(row.group ?? row.name, Math.max(totals.get(row.group ?? row.name) ?? 0, row.exposed_seconds / total_of(a)));
  const names = [...totals].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([name]) => name), hues = ['backward', 'forward', 'optimizer', 'network', 'better', 'worse'];
  const share = (a, name) => a.breakdown.filter(row => name === null ? !names.includes(row.group ?? row.name) : (row.group ?? row.name) === name).reduce((sum, row) => sum + row.exposed_seconds, 0);
  const keys = [...names, null];
  return [legend(keys.map((name, i) => [name ?? 'the rest', hues[i] ?? 'waiting'])), figure(answers.map(a => `${label_of(a)} ${seconds(total_of(a))}`).join(', '), 40 + 34 * answers.length, c => ({
    grid: { left: narrow() ? 110 : 200, right: 70, top: 4, bottom: 26 }, xAxis: axis(c, { type: 'value', splitNumber: narrow() ? 3 : 6, axisLabel: { formatter: v => v ? seconds(v) : '0' } }),
    yAxis: name_axis(c, answers.map(label_of), narrow() ? 110 : 200),
    tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(label_of(answers[p.dataIndex]), keys.map(name => [name ?? 'the rest', seconds(share(answers[p.dataIndex], name))])) },
    series: [...keys.map((name, i) => ({ type: 'bar', stack: 'time', barWidth: 20, itemStyle: { color: c[hues[i] ?? 'waiting'] }, data: answers.map(a => share(a, name)) })),
      { type: 'bar', stack: 'time', data: answers.map(() => 0), silent: true, label: { show: true, position: 'right', color: c.soft, formatter: p => seconds(total_of(answers[p.dataIndex])) } }] }))];
}

// The element, and what fills its place once it is in the page.
// Fields of the scenarios that are not the same in all, as columns; a long list is left to the scenarios themselves.
function differing(answers) {
  const flat = (value, path, out) => { if (value && typeof value === 'object') for (const [key, inner] of Object.entries(value)) flat(inner, `${path}/${key}`, out); else out.set(path, value); return out; };
  const fields = answers.map(a => flat(a.scenario ?? {}, '', new Map())), pointers = [...new Set(fields.flatMap(f => [...f.keys()]))].filter(p => new Set(fields.map(f => f.get(p))).size > 1);
  return pointers.slice(0, 5).map(p => ({ title: p.replace(/^.*\//, '').replaceAll('_', ' '), class: 'short', value: a => fields[answers.indexOf(a)].get(p) ?? '–', text: a => shortened(fields[answers.indexOf(a)].get(p) ?? '–', 24) }));
}

export function element(page, choose) {
  const answers = page.answers, place = h('div', { role: 'tabpanel' }), comparable = answers.filter(timed);
  const tabs = answers.map((answer, i) => h('button', { type: 'button', role: 'tab', 'aria-selected': i === 0 ? 'true' : 'false', onclick: () => { tabs.forEach((tab, j) => tab.setAttribute('aria-selected', j === i ? 'true' : 'false')); choose(answer, place); } }, shortened(label_of(answer), 60)));
  const quickest = comparable.length > 1 && comparable.reduce((a, b) => total_of(b) < total_of(a) ? b : a);
  const side = h('div', { class: 'page', style: 'padding-bottom:0' }, h('header', {}, h('p', { class: 'kicker' }, 'Results side by side'), h('h1', { id: 'answer-text', tabindex: -1 }, quickest ? [`Of ${answers.length} results `, named(label_of(quickest)), ' is quickest: ', h('b', {}, seconds(total_of(quickest))), '.'] : [h('b', {}, `${answers.length} results`), '.'])),
    comparable.length > 1 && h('section', {}, h('h2', {}, 'Side by side'), table([{ title: 'result', value: label_of, class: 'name' }, ...differing(comparable), { title: 'time', number: true, value: total_of, text: a => seconds(total_of(a)) },
      { title: 'range', class: 'short', text: a => a.step_time_seconds ? `${seconds(a.step_time_seconds.p10)} to ${seconds(a.step_time_seconds.p90)}` : '–' }, { title: 'tok/s a device', number: true, value: a => a.tokens_per_second_per_device ?? 0, text: a => a.tokens_per_second_per_device ? count(a.tokens_per_second_per_device) : '–' },
      { title: 'MFU', number: true, value: a => a.mfu ?? 0, text: a => a.mfu === undefined ? '–' : percent(a.mfu) }, { title: 'memory', number: true, value: a => a.memory?.required_bytes ?? 0, text: a => a.memory ? bytes(a.memory.required_bytes) : '–' }], comparable), h('h3', {}, 'Where the time goes'), parts_chart(comparable)),
    h('div', { class: 'tabs', role: 'tablist' }, tabs));
  return [h('div', {}, side, place), () => choose(answers[0], place)];
}
