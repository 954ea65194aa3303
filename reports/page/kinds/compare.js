// Two answers: the difference of their totals, part by part.
import { axis, figure, legend, name_axis, narrow, tip } from '../charts.js';
import { h, named } from '../dom.js';
import { bytes, change, count, digits, percent, seconds } from '../format.js';
import { again } from '../parts/provenance.js';
import { table } from '../table.js';
import { question_of } from '../parts/question.js';

const signed_seconds = v => `${v > 0 ? '+' : v < 0 ? '−' : ''}${seconds(Math.abs(v))}`;
const part_of_phase = p => p.name === p.phase ? p.name : `${p.name} ${p.phase}`;

function differences(parts, total, name_of = part_of_phase) {
  const shown = parts.filter(p => Math.abs(p.difference_seconds) > 5e-4 * total).slice(0, 18);
  const least = Math.min(0, ...shown.map(p => p.difference_seconds)), most = Math.max(0, ...shown.map(p => p.difference_seconds)), room = (narrow() ? 0.45 : 0.16) * (most - least);  // for the labels
  return figure(shown.slice(0, 6).map(p => `${name_of(p)} ${signed_seconds(p.difference_seconds)}`).join(', ') || 'No part differs', 34 + 25 * Math.max(1, shown.length), c => ({
    grid: { left: narrow() ? 140 : 240, right: narrow() ? 8 : 70, top: 4, bottom: 26 },
    xAxis: axis(c, { type: 'value', min: least && least - room, max: most && most + room, axisLabel: { showMinLabel: !least, showMaxLabel: !most, formatter: v => v ? signed_seconds(v) : '0' }, splitNumber: narrow() ? 2 : 5 }),
    yAxis: name_axis(c, shown.map(name_of), narrow() ? 140 : 240),
    tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => { const part = shown[p.dataIndex]; return tip(name_of(part), [['A', seconds(part.first_seconds)], ['B', seconds(part.second_seconds)], ['B − A', signed_seconds(part.difference_seconds)], ['of A', change(part.difference_seconds / total, 2)]]); } },
    series: [{ type: 'bar', barWidth: 15, data: shown.map(p => ({ value: p.difference_seconds, itemStyle: { color: p.difference_seconds < 0 ? c.better : c.worse },
      label: { show: true, position: p.difference_seconds < 0 ? 'left' : 'right', color: c.soft, fontSize: 12, formatter: change(p.difference_seconds / total, 1) } })) }] }));
}

export function render(answer, context) {
  const d = answer.difference_seconds, x = answer.first, y = answer.second, [a, b] = (answer.names ?? ['A', 'B']).map(name => name.replace(/^command line/, question_of(x)));
  const served = answer.ttft;  // a deployment has two times
  const rows = [[served ? 'time of a token' : 'time', answer.first_seconds, answer.second_seconds, seconds], ['first token after', served?.first_seconds, served?.second_seconds, seconds], ['tokens/s a user', x.tokens_per_second_per_user, y.tokens_per_second_per_user, digits], ['tokens/s a device', x.tokens_per_second_per_device, y.tokens_per_second_per_device, count], ['MFU', x.mfu, y.mfu, percent], ['requests that memory holds', x.max_concurrency, y.max_concurrency, count], ['memory', x.memory?.required_bytes, y.memory?.required_bytes, bytes]].filter(r => r[1] !== undefined);
  return { kicker: 'Two answers compared', title: [served ? 'A token: ' : '', h('b', {}, `${seconds(answer.first_seconds)} becomes ${seconds(answer.second_seconds)}`), h('span', { class: 'range' }, `, ${change(d / answer.first_seconds)}`), '.'], question: ['A ', named(a), h('br'), 'B ', named(b)], figures: [], warnings: [],
    sections: [{ id: 'parts', title: served ? 'Which parts make the difference of a token' : 'Which parts make the difference', lead: 'Differences of exposed time; they add up to the difference of the totals.', content: [legend([['less in B', 'better'], ['more in B', 'worse']]), differences(answer.parts, answer.first_seconds, served && (p => p.name))] },
      served && { id: 'first', title: 'The same of the first token', lead: 'From a request’s arrival on.', content: [differences(served.parts, served.first_seconds, p => p.name)] },
      { id: 'figures', title: 'Figures', content: [table([{ title: '', value: r => r[0], class: 'name' }, { title: 'A', number: true, text: r => r[3](r[1]) }, { title: 'B', number: true, text: r => r[3](r[2]) }, { title: 'change', number: true, text: r => change(r[2] / r[1] - 1) }], rows)] },
      answer.changes.length && { id: 'changes', title: 'What was changed', content: [table([{ title: 'field', value: c => c.pointer, class: 'name' }, { title: 'A', value: c => c.first }, { title: 'B', value: c => c.second }], answer.changes)] }, again({ scenario: y.scenario }, context.command)].filter(Boolean) };
}
