// Numbers as the screen prints them: four digits, a scale that suits. A number never parts from its unit.
const kSpace = '\u00a0';
const scaled = (value, scales) => {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return `0${kSpace}${scales.find(([factor]) => factor === 1)[1]}`;
  const [factor, unit] = scales.find(([factor]) => Math.abs(value) >= 0.99995 * factor) ?? scales[scales.length - 1];
  return `${digits(value / factor)}${kSpace}${unit}`;
};

// 12,345.67; the browser's own formatter costs a tenth of a second when it is first asked.
const grouped = text => {
  const [whole, rest] = text.split('.');
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (rest ? `.${rest}` : '');
};

export function digits(value, count = 4) {
  if (!Number.isFinite(value)) return '–';
  const rounded = Number(value.toPrecision(count));
  const size = Math.abs(rounded);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return rounded.toExponential();
  return grouped(String(rounded));
}

export const seconds = value => scaled(value, [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']]);
export const bytes = value => scaled(value, [[1e15, 'PB'], [1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB'], [1, 'B']]);
export const flops = value => scaled(value, [[1e15, 'PFLOP'], [1e12, 'TFLOP'], [1e9, 'GFLOP'], [1e6, 'MFLOP'], [1, 'FLOP']]);
export const rate = value => scaled(value, [[1e15, 'PFLOP/s'], [1e12, 'TFLOP/s'], [1e9, 'GFLOP/s'], [1e6, 'MFLOP/s'], [1, 'FLOP/s']]);
export const percent = (share, places = 1) => Number.isFinite(share) ? `${(100 * share).toFixed(places)}${kSpace}%` : '–';
export const change = (share, places = 1) => {
  const text = (100 * share).toFixed(places);
  return `${Number(text) > 0 ? '+' : Number(text) < 0 ? '−' : ''}${text.replace('-', '')}${kSpace}%`;
};
export const count = value => Number.isFinite(value) ? grouped(String(Math.round(value))) : '–';

// By what a key ends in, as JSON keys carry their units.
export function by_key(key, value) {
  if (typeof value !== 'number') return value === null || value === undefined ? '–' : String(value);
  if (/_per_second$|_per_device$/.test(key) && !/bytes/.test(key)) return value >= 1000 ? count(value) : digits(value);
  if (/seconds(_p\d+)?$/.test(key)) return seconds(value);
  if (/bytes$/.test(key)) return bytes(value);
  if (/flops$/.test(key)) return flops(value);
  if (/^mfu$|share$|coverage/.test(key)) return percent(value);
  if (/_error$|^bias$/.test(key)) return change(value);
  return digits(value, 6);
}

const words = { step_time_seconds: 'step', step_time_p10_seconds: 'step p10', step_time_p90_seconds: 'step p90',
  tokens_per_second: 'tokens/s', tokens_per_second_per_device: 'tokens/s/device', model_tflops_per_device: 'TFLOP/s/device',
  memory_required_bytes: 'memory', memory_available_bytes: 'memory limit', mfu: 'MFU', exposed_share: 'exposed' };
// What a reader calls a column.
export const title_of = key => words[key] ?? key.replace(/^.*\//, '').replace(/_(seconds|bytes)$/, '').replaceAll('_', ' ');
