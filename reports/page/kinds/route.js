// Loads of experts and ranks under each balancer, hottest first.
import { axis, figure, narrow, tip } from '../charts.js';
import { h, named } from '../dom.js';
import { digits, percent, seconds } from '../format.js';
import { again } from '../parts/provenance.js';
import { table } from '../table.js';

function histogram(row, what, loads, top) {
  const mean = loads.reduce((a, b) => a + b, 0) / loads.length, sorted = [...loads].sort((a, b) => b - a).map(load => load / mean);
  return figure(`${row.balancer}: load of ${what}, hottest first; the hottest has ${digits(sorted[0], 3)} times the mean`, 150, c => ({
    grid: { left: 8, right: 8, top: 12, bottom: 8, containLabel: true },
    xAxis: axis(c, { type: 'category', data: sorted.map((_, i) => i + 1), axisLabel: { show: false } }),
    yAxis: axis(c, { type: 'value', max: Math.max(1.2, top), splitNumber: 3, axisLabel: { formatter: v => digits(v, 2) } }),
    tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(`${p.dataIndex + 1} of ${sorted.length} ${what}`, [['load over the mean', digits(p.value, 4)]]) },
    series: [{ type: 'bar', data: sorted, barCategoryGap: sorted.length > 64 ? 0 : '20%', itemStyle: { color: row.balancer === 'none' ? c.waiting : c.backward },
      markLine: { silent: true, symbol: 'none', data: [{ yAxis: 1 }], lineStyle: { color: c.worse, type: 'solid', width: 1 }, label: { show: false } } }] }));
}

export function render(answer, context) {
  const rows = answer.balancers, top = key => Math.max(...rows.map(row => { const loads = row[key]; const mean = loads.reduce((a, b) => a + b, 0) / loads.length; return Math.max(...loads) / mean; }));
  const before = rows.find(row => row.balancer === 'none') ?? rows[0], whole = rows.filter(row => row.drop_rate === 0), best = whole.reduce((a, b) => b.rank_overload < a.rank_overload ? b : a, before);
  const grid = (key, what) => h('div', { class: 'pair' }, rows.map(row => h('div', {}, h('h3', {}, row.balancer.replaceAll('_', ' '), h('span', { class: 'soft', style: 'font-weight:400' }, ` hottest ${(Math.max(...row[key]) / (row[key].reduce((a, b) => a + b, 0) / row[key].length)).toFixed(2)} × mean`)), histogram(row, what, row[key], top(key)))));
  return {
    kicker: 'Routing', title: ['The hottest rank carries ', h('b', {}, `${before.rank_overload.toFixed(2)} times`), ' the mean', best !== before ? h('span', { class: 'range' }, `; balanced by ${best.balancer.replaceAll('_', ' ')}, ${best.rank_overload.toFixed(2)} times`) : '', '.'],
    question: named(answer.input, 'span'), figures: [], warnings: [],
    sections: [
      { id: 'ranks', title: 'Load of the ranks', lead: 'Each rank over the mean, hottest first, before balancing and after; the line is the mean. Of several layers the first is drawn; the sentence above and the numbers below are of all.', content: [grid('rank_loads', 'ranks')] },
      { id: 'experts', title: 'Load of the experts', lead: 'The same by expert.', content: [grid('expert_loads', 'experts')] },
      { id: 'numbers', title: 'Balancers by their numbers', content: [table([
        { title: 'balancer', value: r => r.balancer.replaceAll('_', ' ') }, { title: 'worst expert over mean − 1', number: true, value: r => r.max_violation, text: r => digits(Math.abs(r.max_violation) < 1e-6 ? 0 : r.max_violation) },
        { title: 'hottest rank', number: true, value: r => r.rank_overload, text: r => digits(r.rank_overload) }, { title: 'p90 of layers', number: true, value: r => r.rank_overload_p90 ?? 0, text: r => r.rank_overload_p90 === undefined ? '–' : digits(r.rank_overload_p90) },
        { title: 'dropped', number: true, value: r => r.drop_rate, text: r => percent(r.drop_rate, 2) }, { title: 'steps', number: true, value: r => r.iterations, text: r => r.iterations || '–' },
        { title: 'dual gap', number: true, value: r => r.dual_gap ?? 0, text: r => r.dual_gap === undefined ? '–' : digits(r.dual_gap, 2) },
        ...(rows.some(r => r.step_time_seconds) ? [{ title: 'step', number: true, value: r => r.step_time_seconds ?? 0, text: r => r.step_time_seconds ? seconds(r.step_time_seconds) : '–' }] : [])], rows)] },
      again(answer, context.command)],
  };
}
