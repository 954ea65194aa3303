// Where the time goes: one bar a group, its phases side by side; what other work hides is hatched. A group opens to its
// ops, each with the formula and the numbers that `explain` prints.
import { axis, figure, legend, name_axis, narrow, tip } from '../charts.js';
import { drawer, h, named } from '../dom.js';
import { digits, flops, bytes, percent, seconds } from '../format.js';
import { table } from '../table.js';

const kPhases = [['forward', 'forward'], ['backward', 'backward'], ['recompute', 'network'], ['optimizer', 'optimizer'], ['prefill', 'forward'], ['decode', 'backward'], ['pipeline', 'waiting']];
const phase_of = row => kPhases.find(([name]) => name === row.phase)?.[0] ?? 'optimizer';

function groups_of(rows) {
  const groups = new Map();
  for (const row of rows) {
    const name = row.group ?? row.name;
    if (!groups.has(name)) groups.set(name, { name, exposed: {}, hidden: 0, total: 0, rows: [] });
    const group = groups.get(name), phase = phase_of(row);
    group.exposed[phase] = (group.exposed[phase] ?? 0) + row.exposed_seconds;
    group.hidden += row.seconds - row.exposed_seconds;
    group.total += row.exposed_seconds;
    group.rows.push(row);
  }
  return [...groups.values()].sort((a, b) => b.total - a.total);
}

export const total_of = answer => answer.step_time_seconds?.value ?? answer.tpot_seconds?.value ?? answer.forward_seconds + answer.backward_seconds;

function bars(groups, total) {
  const shown = groups.filter(group => group.total > 0.0005 * total || group.hidden > 0.005 * total);
  const names = shown.map(group => group.name);
  const phases = kPhases.filter(([phase]) => shown.some(group => group.exposed[phase]));
  const hides = shown.some(group => group.hidden > 0.0005 * total);
  const alt = `Exposed time by group: ${shown.slice(0, 8).map(g => `${g.name} ${percent(g.total / total)}`).join(', ')}`;
  const option = c => {
    const series = phases.map(([phase, colour]) => ({ type: 'bar', name: phase, stack: 'time', barWidth: 15, itemStyle: { color: c[colour] },
      data: shown.map(group => group.exposed[phase] ?? 0) }));
    if (hides) {
      series.push({ type: 'bar', name: 'hidden', stack: 'time', barWidth: 15, data: shown.map(group => group.hidden),
        itemStyle: { color: 'transparent', decal: { symbol: 'rect', dashArrayX: [1, 0], dashArrayY: [2, 3], rotation: -Math.PI / 4, color: c.waiting } } });
    }
    series.push({ type: 'bar', stack: 'time', data: shown.map(() => 0), silent: true,
      label: { show: true, position: 'right', color: c.soft, fontSize: 12, formatter: p => percent(shown[p.dataIndex].total / total) } });
    return {
      grid: { left: narrow() ? 120 : 172, right: 52, top: 4, bottom: 26 },
      aria: { enabled: true, label: { enabled: false }, decal: { show: false } },
      xAxis: axis(c, { type: 'value', splitNumber: narrow() ? 3 : 6, axisLabel: { formatter: v => v === 0 ? '0' : seconds(v) } }),
      yAxis: name_axis(c, names, narrow() ? 120 : 172),
      tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => {
        const g = shown[p.dataIndex];
        return tip(g.name, [...phases.filter(([phase]) => g.exposed[phase]).map(([phase]) => [phase, seconds(g.exposed[phase])]),
          ...(g.hidden > 0 ? [['hidden beside compute', seconds(g.hidden)]] : []), ['share of the total', percent(g.total / total)]]);
      } },
      series,
    };
  };
  return [(phases.length > 1 || hides) && legend([...phases.map(([phase, colour]) => [phase === 'pipeline' ? 'waiting' : phase, colour]), ...(hides ? [['hidden beside other work', 'waiting', true]] : [])]),
    figure(alt, 34 + 25 * shown.length, option)];
}

const unit_text = (key, value) => {
  if (/seconds$/.test(key)) return seconds(value);
  if (/bytes$/.test(key)) return bytes(value);
  if (/flops$/.test(key)) return flops(value);
  return digits(value, 6);
};
const term_name = key => key.replace(/_(seconds|bytes|flops)$/, '').replaceAll('_', ' ');

function op_details(op, total, often) {
  return drawer([h('span', { class: 'what' }, named(op.name), h('span', { class: 'soft' }, ` ${op.phase} · ${op.where}`)),
    h('span', { class: 'time' }, seconds(op.total_seconds), h('span', { class: 'soft' }, ` ${percent(op.total_seconds / total)}`))], () => [
    h('p', { class: 'formula' }, `${seconds(op.seconds)} = ${op.formula}; ${digits(op.times, 6)} times ${often}; bound by `, named(op.bound_by), `; ${op.source}`),
    h('dl', { class: 'terms' }, Object.entries(op.terms).map(([key, value]) => h('div', {}, h('dt', { dir: 'auto' }, term_name(key)), h('dd', {}, unit_text(key, value)))))]);
}

function numbers(answer, total) {
  return table([
    { title: 'part', value: r => r.group && r.group !== r.name ? `${r.group}: ${r.name}` : r.name, class: 'name' },
    { title: 'phase', value: r => r.phase },
    { title: 'exposed', number: true, value: r => r.exposed_seconds, text: r => seconds(r.exposed_seconds) },
    { title: 'hidden', number: true, value: r => r.seconds - r.exposed_seconds, text: r => r.seconds - r.exposed_seconds > 5e-4 * total ? seconds(r.seconds - r.exposed_seconds) : '–' },
    { title: 'share', number: true, value: r => r.share, text: r => percent(r.share) },
    { title: 'bound by', value: r => r.bound_by },
    { title: 'source', value: r => r.source },
  ], answer.breakdown, { sort: 2, label: 'Breakdown' });
}

export function breakdown(answer) {
  const total = total_of(answer), groups = groups_of(answer.breakdown);
  return { id: 'time', title: 'Where the time goes',
    lead: 'Exposed time, which nothing else covers; exposed times add up to the total. Hidden time runs beside other work.',
    content: [...bars(groups, total), drawer('All rows as numbers', () => numbers(answer, total))] };
}

// Of an answer whose phases have times of their own.
export function parts_of_phase(answer, phase, title, total) {
  const rows = answer.breakdown.filter(row => row.phase === phase);
  if (!rows.length) return null;
  return { id: phase, title, content: [...bars(groups_of(rows), total), drawer('All rows as numbers', () => numbers({ breakdown: rows }, total))] };
}

function operations_of(ops, total, { id, title, often, lead }) {
  if (!ops.length) return null;
  const groups = new Map();
  for (const op of ops) {
    if (!groups.has(op.group)) groups.set(op.group, []);
    groups.get(op.group).push(op);
  }
  const of = list => list.reduce((sum, op) => sum + op.total_seconds, 0);
  const ordered = [...groups].sort((a, b) => of(b[1]) - of(a[1]));
  return { id, title, lead: `What each time is made of: the equation, what went in, how often it runs ${lead}.`,
    content: [h('div', { class: 'ops' }, ordered.map(([name, list]) => drawer([h('span', { class: 'what' }, named(name), h('span', { class: 'soft' }, ` ${list.length}`)),
      h('span', { class: 'time' }, seconds(of(list)), h('span', { class: 'soft' }, ` ${percent(of(list) / total)}`))], () =>
      h('div', { style: 'margin-left:1em' }, list.sort((a, b) => b.total_seconds - a.total_seconds).map(op => op_details(op, total, often))))))] };
}

// Of a deployment those of a token and those of the first one, each against its own time.
export function operations(answer) {
  const ops = answer.page?.ops ?? answer.ops ?? [], passes = answer.page?.passes ?? answer.passes ?? [];
  if (answer.ttft_seconds !== undefined) {
    const of_phase = phase => ops.filter(op => op.phase === phase), value_of = time => time?.value ?? time;
    return [operations_of(of_phase('decode'), value_of(answer.tpot_seconds), { id: 'ops', title: 'Every operation of a token, by its numbers', often: 'a token', lead: 'for a token' }),
      operations_of(of_phase('prefill'), value_of(answer.ttft_seconds), { id: 'first-ops', title: 'Every operation of the first token', often: 'until the first token', lead: 'until the first token' })];
  }
  return [operations_of([...ops, ...passes.map(p => ({ ...p, group: 'streams of the wafer', name: p.where, source: 'bound' }))], answer.breakdown ? total_of(answer) : answer.time_seconds,
    { id: 'ops', title: 'Every operation, by its numbers', often: 'a step', lead: 'in a step on the busiest stage' })];
}
