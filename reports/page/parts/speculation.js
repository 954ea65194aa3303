// What guessing ahead gains over plain decoding, by tokens drafted a round and by sequences of a worker.
import { axis, figure, legend, narrow, readable_on, tip } from '../charts.js';
import { count, digits } from '../format.js';
import { h } from '../dom.js';

const kHues = ['backward', 'network', 'optimizer', 'worse'];

// Where K pays at all in a batch, the best of it.
const best_of = (table, column) => table.reduce((best, row, i) => row[column] > table[best][column] ? i : best, 0);

function by_batch({ sequences, speedup, now }) {
  const nearest = sequences.reduce((best, n) => Math.abs(Math.log(n / now.sequences)) < Math.abs(Math.log(best / now.sequences)) ? n : best);
  const furthest = Math.max(...speedup.flat().map(v => Math.abs(v - 1)), 0.01), cells = speedup.flatMap((row, k) => row.map((value, b) => [b, k, value]));
  return figure(`Speed-up by tokens drafted and sequences: ${sequences.map((n, b) => { const k = best_of(speedup, b); return `${n}: at best ${digits(speedup[k][b], 3)} with ${k + 1}`; }).join(', ')}`, narrow() ? 330 : 400, c => ({
    grid: { left: 8, right: 8, top: 32, bottom: 62, containLabel: true },
    xAxis: axis(c, { type: 'category', data: sequences.map(count), name: 'sequences of a worker', nameLocation: 'middle', nameGap: 28, splitLine: { show: false } }),
    yAxis: axis(c, { type: 'category', data: speedup.map((_, k) => k + 1), name: 'tokens drafted', nameTextStyle: { align: 'left', color: c.soft }, splitLine: { show: false }, axisLabel: { interval: 0 } }),
    visualMap: { min: 1 - furthest, max: 1 + furthest, show: true, orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 160, itemWidth: 10, calculable: false, textStyle: { color: c.soft, fontSize: 12 }, inRange: { color: [c.worse, c.raised, c.better] }, text: [`${digits(1 + furthest, 3)} ×`, `${digits(Math.max(0, 1 - furthest), 3)} ×`] },
    tooltip: { formatter: p => tip(`${digits(p.value[2], 4)} × plain decoding`, [['drafted a round', p.value[1] + 1], ['sequences', count(sequences[p.value[0]])]]) },
    series: [{ type: 'heatmap', data: cells.map(value => ({ value, label: { color: Math.abs(value[2] - 1) > 0.75 * furthest ? readable_on(c, value[2] > 1 ? c.better : c.worse) : c.ink } })), itemStyle: { borderColor: c.paper, borderWidth: 1 }, label: { show: !narrow(), fontSize: 11, formatter: p => `${p.value[2].toFixed(2)}${p.value[1] + 1 === now.draft_tokens && sequences[p.value[0]] === nearest ? ' •' : ''}` } }] }));
}

function by_drafted({ sequences, speedup }) {
  const shown = sequences.map((n, b) => b).filter(b => b % 3 === 0).slice(0, kHues.length);
  return [legend(shown.map((b, i) => [sequences[b] === 1 ? 'one sequence' : `${count(sequences[b])} sequences`, kHues[i]])),
    figure(`Speed-up against tokens drafted for ${shown.map(b => sequences[b]).join(', ')} sequences`, narrow() ? 280 : 366, c => ({
      grid: { left: 8, right: 16, top: 32, bottom: 34, containLabel: true },
      xAxis: axis(c, { type: 'category', data: speedup.map((_, k) => k + 1), boundaryGap: false, name: 'tokens drafted a round', nameLocation: 'middle', nameGap: 30, splitLine: { show: false } }),
      yAxis: axis(c, { type: 'value', scale: true, name: '× plain decoding', nameTextStyle: { align: 'left', color: c.soft }, axisLabel: { formatter: v => digits(v, 3) } }),
      tooltip: { trigger: 'axis', axisPointer: { type: 'line', lineStyle: { color: c.rule } }, formatter: list => tip(`${list[0].dataIndex + 1} drafted`, list.map(p => [`${count(sequences[shown[p.seriesIndex]])} sequences`, `${digits(p.value, 4)} ×`])) },
      series: shown.map((b, i) => ({ type: 'line', data: speedup.map(row => row[b]), symbol: 'circle', symbolSize: 5, lineStyle: { color: c[kHues[i]], width: 1.6 }, itemStyle: { color: c[kHues[i]] },
        markLine: i ? undefined : { silent: true, symbol: 'none', data: [{ yAxis: 1 }], lineStyle: { color: c.soft, type: 'solid', width: 1 }, label: { show: false } } })) }))];
}

// "1 to 8, 64" of those that hold among all.
function runs(all, holds) {
  const list = [];
  all.forEach((n, i) => { if (!holds(i)) return; if (i > 0 && holds(i - 1)) list.at(-1)[1] = n; else list.push([n, n]); });
  return list.map(([from, to]) => from === to ? count(from) : `${count(from)} to ${count(to)}`).join(', ');
}

export function speculation(answer) {
  const s = answer.page?.speedups;
  if (!s) return null;
  const { sequences, now } = s, round = answer.speculation, pays = runs(sequences, b => s.speedup[best_of(s.speedup, b)][b] > 1);
  return { id: 'speculation', title: 'What guessing ahead gains',
    lead: `Time of a token of plain decoding over that with drafts; below 1 drafting costs more than it saves. ${pays ? `Here it pays at ${pays} sequences.` : 'Here it never pays.'} The answer ${now.draft_tokens ? `drafts ${now.draft_tokens} for ${digits(now.sequences, 3)} ${now.sequences === 1 ? 'sequence' : 'sequences'} at once: ${digits(round.speedup, 4)}\u00a0×` : `drafts none for ${digits(now.sequences, 3)} sequences at once`}.`,
    content: [h('div', { class: 'pair' }, h('div', {}, by_batch(s)), h('div', {}, by_drafted(s)))] };
}
