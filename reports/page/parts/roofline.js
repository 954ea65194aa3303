// Every op against the roofs of its device: how many operations a byte it moves, and how fast it runs.
import { axis, figure, legend, narrow, tip } from '../charts.js';
import { bytes, digits, flops, rate, seconds } from '../format.js';

const colour_of = bound => /tensor|core/.test(bound) ? 'backward' : /HBM|memory|SRAM/.test(bound) ? 'optimizer' : /latency|launch/.test(bound) ? 'waiting' : 'network';

export function roofline(answer) {
  const roof = answer.page?.roofline, ops = (answer.page?.ops ?? []).filter(op => op.flops > 0 && op.bytes > 0 && op.seconds > 0);
  if (!roof || !ops.length) return null;
  const points = ops.map(op => ({ op, x: op.flops / op.bytes, y: op.flops / op.seconds }));
  const bounds = new Set(ops.map(op => colour_of(op.bound_by)));
  const longest = Math.max(...ops.map(op => op.total_seconds));
  const top = Math.max(...roof.peaks.map(peak => peak.flops_per_second));
  const decade = (value, round) => 10 ** Math[round](Math.log10(value));
  const low = decade(Math.min(...points.map(p => p.x)), 'floor'), high = decade(Math.max(top / roof.bytes_per_second * 2, ...points.map(p => p.x)), 'ceil');
  const floor = decade(Math.min(...points.map(p => p.y)), 'floor');
  const line = peak => [[low, Math.min(peak, low * roof.bytes_per_second)], [peak / roof.bytes_per_second, peak], [high, peak]].filter(([x]) => x >= low);
  return { id: 'roofline', title: 'Roofline',
    lead: `Every op as a point under the roofs of ${roof.device}: right of the knee arithmetic limits, left of it ${roof.memory} at ${bytes(roof.bytes_per_second)}/s. Larger points take more of the step.`,
    content: [legend([['arithmetic', 'backward'], [roof.memory, 'optimizer'], ['latency', 'waiting'], ['link', 'network']].filter(([, colour]) => bounds.has(colour))),
      figure(`Roofline of ${roof.device} with ${points.length} ops; the longest, ${ops.find(op => op.total_seconds === longest).name}, runs at ${rate(points.find(p => p.op.total_seconds === longest).y)}`, narrow() ? 320 : 420, c => ({
        grid: { left: 8, right: 16, top: 26, bottom: 30, containLabel: true },
        xAxis: axis(c, { type: 'log', min: low, max: high, name: 'FLOP per byte', nameLocation: 'middle', nameGap: 30, axisLabel: { formatter: v => digits(v, 2) } }),
        yAxis: axis(c, { type: 'log', min: floor, max: 1.6 * top, axisLabel: { showMaxLabel: false, formatter: v => rate(v).replace('.0', '') } }),
        tooltip: { trigger: 'item', formatter: p => p.data.op && tip(`${p.data.op.name} ${p.data.op.phase}`, [['in', p.data.op.where], ['work', flops(p.data.op.flops)], ['moves', bytes(p.data.op.bytes)],
          ['runs at', rate(p.data.value[1])], ['one call', seconds(p.data.op.seconds)], ['in a step', seconds(p.data.op.total_seconds)], ['bound by', p.data.op.bound_by]]) },
        series: [...roof.peaks.map(peak => ({ type: 'line', data: line(peak.flops_per_second), symbol: 'none', silent: true, z: 3, lineStyle: { color: c.soft, width: 1.2 },
          endLabel: { show: true, formatter: `${peak.name} ${rate(peak.flops_per_second)}`, color: c.soft, fontSize: 12, offset: [-4, -9], align: 'right', backgroundColor: c.paper, padding: [0, 2] } })),
          { type: 'scatter', data: points.map(p => ({ value: [p.x, p.y], op: p.op, symbolSize: 5 + 22 * Math.sqrt(p.op.total_seconds / longest), itemStyle: { color: c[colour_of(p.op.bound_by)], opacity: 0.72, borderColor: c.paper, borderWidth: 1 } })) }],
      }))] };
}
