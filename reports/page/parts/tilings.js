// Of a wafer: throughput against the number of attention tiles a micro-batch.
import { axis, figure, narrow, tip } from '../charts.js';
import { count } from '../format.js';

export function tilings(answer) {
  const list = answer.page?.tilings ?? [];
  if (list.length < 2) return null;
  const now = answer.wafer.g, best = list.reduce((a, b) => b.tokens_per_second > a.tokens_per_second ? b : a);
  return { id: 'tilings', title: 'Tokens a second against tiles',
    lead: `Attention runs on G tiles one after another, experts on all of them at once: more tiles spread a stream of weights over more tokens, until the arithmetic or the memory binds. Of these G ${best.g} is quickest; the answer has G ${now}.`,
    content: [figure(`Tokens a second by G: ${list.map(t => `${t.g}: ${count(t.tokens_per_second)}`).join(', ')}`, narrow() ? 280 : 340, c => ({
      grid: { left: 8, right: 24, top: 26, bottom: 34, containLabel: true },
      xAxis: axis(c, { type: 'category', data: list.map(t => t.g), name: 'tiles G', nameLocation: 'middle', nameGap: 30, splitLine: { show: false } }),
      yAxis: axis(c, { type: 'value', name: 'tokens/s', nameTextStyle: { align: 'right', color: c.soft }, axisLabel: { formatter: count } }),
      tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(`G ${list[p.dataIndex].g}`, [['tokens/s', count(p.value)], ['bound by', list[p.dataIndex].bound_by]]) },
      series: [{ type: 'line', symbol: 'circle', data: list.map(t => ({ value: t.tokens_per_second, symbolSize: t.g === now ? 12 : 6, itemStyle: { color: t.g === now ? c.worse : c.backward } })), lineStyle: { color: c.backward, width: 1.5 } }] }))] };
}
