// Serving: first token, tokens after it, and what more users at once would cost each.
import { axis, figure, narrow, tip } from '../charts.js';
import { h, named } from '../dom.js';
import { bytes, count, digits, percent, seconds } from '../format.js';
import { operations, parts_of_phase } from '../parts/breakdown.js';
import { memory } from '../parts/memory.js';
import { speculation } from '../parts/speculation.js';
import { helps } from '../parts/tornado.js';
import { again, provenance } from '../parts/provenance.js';
import { infeasible } from './infeasible.js';
import { question_of } from '../parts/question.js';

const figure_of = (name, value, more) => h('div', {}, h('dt', {}, name), h('dd', {}, value, more && h('small', {}, more)));

// Throughput of a device against the speed that one user sees, along the number of users.
function trade(answer) {
  const all = answer.page?.concurrencies ?? [];
  // Once memory is full more requests only wait.
  const list = all.filter((p, i) => i === 0 || p.concurrency === answer.scenario.workload.concurrency || Math.abs(p.tokens_per_second_per_user / all[i - 1].tokens_per_second_per_user - 1) > 1e-3);
  if (list.length < 2) return null;
  const now = answer.scenario.workload.concurrency;
  return { id: 'trade', title: 'A user against all of them', lead: 'Each point is a number of requests at once: right, a user reads faster; up, a device serves more.',
    content: [figure(`Tokens a second by user and by device for ${list.map(p => p.concurrency).join(', ')} requests at once`, narrow() ? 320 : 400, c => ({
      grid: { left: 8, right: 30, top: 26, bottom: 34, containLabel: true },
      xAxis: axis(c, { type: 'value', name: 'tokens/s a user', nameLocation: 'middle', nameGap: 30 }), yAxis: axis(c, { type: 'value', name: 'tokens/s a device', nameTextStyle: { align: 'left', color: c.soft }, axisLabel: { formatter: count } }),
      tooltip: { formatter: p => { const q = list[p.dataIndex]; return tip(`${count(q.concurrency)} requests at once`, [['tokens/s a user', digits(q.tokens_per_second_per_user)], ['tokens/s a device', count(q.tokens_per_second_per_device)], ['first token', seconds(q.ttft_seconds)], ['each token', seconds(q.tpot_seconds)]]); } },
      series: [{ type: 'line', symbol: 'circle', data: list.map(q => ({ value: [q.tokens_per_second_per_user, q.tokens_per_second_per_device], symbolSize: q.concurrency === now ? 12 : 6, itemStyle: { color: q.concurrency === now ? c.worse : c.backward }, label: { show: true, position: 'right', offset: [0, -8], color: c.soft, fontSize: 11, formatter: count(q.concurrency) } })), lineStyle: { color: c.backward, width: 1.5 } }] }))] };
}

export function render(answer, context) {
  if (answer.feasible === false) return infeasible(answer, context);
  const a = answer;
  return { kicker: 'Serving', title: ['The first token comes after ', h('b', {}, seconds(a.ttft_seconds.value)), ', then one every ', h('b', {}, seconds(a.tpot_seconds.value)), h('span', { class: 'range' }, `, ${seconds(a.tpot_seconds.p10)} to ${seconds(a.tpot_seconds.p90)} in eight of ten cases`), '.'],
    question: named(question_of(a), 'span'),
    figures: [figure_of('Throughput', `${count(a.tokens_per_second_per_device)} tok/s`, `a device; ${count(a.tokens_per_second)} in all`), figure_of('A user', `${digits(a.tokens_per_second_per_user)} tok/s`, `${digits(a.requests_per_second)} requests a second`),
      figure_of('Requests at once', digits(a.decoding), `${count(a.max_concurrency)} fit`), figure_of('KV cache', bytes(a.kv_cache_bytes), `memory ${percent(a.memory.required_bytes / a.memory.available_bytes, 0)} of ${bytes(a.memory.available_bytes)}`),
      figure_of('Waiting', seconds(a.queue_seconds ?? 0), 'of the first token in the queue'), a.cost?.per_million_tokens !== undefined && figure_of('Cost', `${digits(a.cost.per_million_tokens)} ${a.cost.currency}`, 'a million tokens')].filter(Boolean),
    warnings: a.warnings ?? [],
    sections: [parts_of_phase(a, 'decode', 'Where the time of a token goes', a.tpot_seconds.value), parts_of_phase(a, 'prefill', 'Where the time to the first token goes', a.ttft_seconds.value), trade(a), helps(a), speculation(a), memory(a), ...operations(a), provenance(a), again(a, context.command)] };
}
