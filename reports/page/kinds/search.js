// The best layouts of a search as rows, and why the others lost.
import { axis, figure, name_axis, narrow } from '../charts.js';
import { h } from '../dom.js';
import { count, digits, seconds } from '../format.js';
import * as sweep from './sweep.js';

const kLayout = ['devices', 'tp', 'pp', 'vpp', 'ep', 'etp', 'cp', 'dp', 'zero', 'micro_batch', 'recompute'];

function lost_section(lost) {
  const reasons = Object.entries(lost).sort((a, b) => b[1] - a[1]);
  if (!reasons.length) return null;
  return { id: 'lost', title: 'Why the others lost', content: [figure(reasons.map(([reason, n]) => `${n}: ${reason}`).join('; '), 12 + 32 * reasons.length, c => ({
    grid: { left: narrow() ? 140 : 300, right: 60, top: 4, bottom: 8 },
    xAxis: axis(c, { type: 'value', show: false }), yAxis: name_axis(c, reasons.map(r => r[0]), narrow() ? 140 : 300),
    series: [{ type: 'bar', barWidth: 15, data: reasons.map(r => r[1]), itemStyle: { color: c.waiting }, label: { show: true, position: 'right', color: c.soft, formatter: p => count(p.value) } }] }))] };
}

// Rounds of a deployment's draft: the quickest first.
function rounds(answer, context) {
  const keys = Object.keys(answer.rounds[0]).filter(key => key !== 'fan_out'), [best] = answer.rounds;
  const columns = keys.map(key => ({ name: ['draft_tokens', 'cache_slots', 'backup'].includes(key) ? `/${key}` : key, values: answer.rounds.map(round => round[key]) }));
  const view = sweep.render({ rows: answer.rounds.length, columns }, context);
  return { ...view, kicker: 'Search', title: best.draft_tokens ? ['A token takes ', h('b', {}, seconds(best.token_seconds)), ` with a draft of ${best.draft_tokens}`, h('span', { class: 'range' }, `, ${best.speedup.toFixed(2)} times as fast as without`), '.'] : ['No draft pays: a token takes ', h('b', {}, seconds(best.token_seconds)), ' without.'],
    question: `${digits(answer.sequences)} sequences at ${count(answer.context_tokens)} tokens decode together; ${count(answer.tried)} rounds tried`, sections: [...view.sections.slice(0, -1), lost_section(answer.lost), view.sections.at(-1)] };
}

export function render(answer, context) {
  if (answer.rounds) return rounds(answer, context);
  const keys = answer.layouts.length ? Object.keys(answer.layouts[0]) : [];
  const columns = keys.map(key => ({ name: kLayout.includes(key) ? `/${key}` : key, values: answer.layouts.map(layout => layout[key] ?? null) })).filter(c => new Set(c.values).size > 1 || (!c.name.startsWith('/') && typeof c.values[0] === 'number'));
  const view = sweep.render({ rows: answer.layouts.length, columns: columns.length ? columns : [{ name: 'layout', values: [] }] }, context);
  const best = answer.layouts[0];
  const layout = best && kLayout.filter(key => best[key] !== undefined).map(key => `${key} ${best[key]}`).join(', ');
  return { ...view, kicker: 'Search', title: best ? ['The best layout takes ', h('b', {}, seconds(best.step_time_seconds)), h('span', { class: 'range' }, `, of ${count(answer.legal)} legal ones, ${count(answer.feasible_layouts)} of which run`), '.'] : [`None of ${count(answer.legal)} legal layouts runs.`],
    question: layout, sections: [...view.sections.slice(0, -1), lost_section(answer.lost ?? {}), view.sections.at(-1)] };
}
