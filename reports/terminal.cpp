// The answer screen: the answer first, then what bounds it, where the time goes, and warnings with advice.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "plan/bill.hpp"
#include "plan/training/goodput.hpp"
#include "reports/formats.hpp"

namespace moeline {
namespace {

// Columns that the full table takes; narrower terminals get it without bars and sources.
constexpr int kWhole = 100;

class Ink {
 public:
  explicit Ink(const Terminal& terminal) : wide(terminal.width >= kWhole), on_(terminal.color) {}
  std::string bold(const std::string& text) const { return wrap("1", text); }
  std::string dim(const std::string& text) const { return wrap("2", text); }
  std::string bar(const std::string& text) const { return wrap("36", text); }
  std::string warn(const std::string& text) const { return wrap("33", text); }

  const bool wide;
  std::size_t names() const { return wide ? 34 : 31; }     // columns of a row's name,
  std::size_t bound_by() const { return wide ? 24 : 14; }  // and of what binds it

 private:
  std::string wrap(const char* code, const std::string& text) const {
    return on_ ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
  }
  bool on_;
};

// A bar of `cells` characters in eighths.
std::string bar(double share, int cells) {
  static constexpr std::array<const char*, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * cells * 8));
  std::string out;
  for (int i = 0; i < eighths / 8; ++i) out += "█";
  return out + kEighths[static_cast<std::size_t>(eighths % 8)];
}

// Display width: each UTF-8 code point is one column here, a colour none.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  bool escape = false;
  for (const char c : text) {
    escape |= c == '\033';
    if (!escape && (c & 0xC0) != 0x80) ++count;
    if (c == 'm') escape = false;
  }
  return count;
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > columns(text) ? width - columns(text) : 0, ' ');
}

struct Line {
  std::string name;
  Seconds exposed, hidden;
  std::string_view bound_by;
  Source source;
};

std::string elided(std::string text, std::size_t most) {
  if (columns(text) <= most) return text;
  while (columns(text) > most - 2) text.pop_back();
  return text + "..";
}

// "NDR InfiniBand, one 400 Gbit/s NIC per GPU" is long for a column; what follows the comma is in `show hardware`.
std::string brief(std::string_view bound_by, std::size_t most) {
  return elided(std::string(bound_by.substr(0, bound_by.find(','))), most);
}

std::string heading(const std::string& what, std::size_t names, const Ink& ink) {
  std::string line = fmt::format("  {}{:>10} {:>10} {:>8}  ", padded(what, names), "exposed", "hidden", "share");
  line += ink.wide ? fmt::format("{:<13}{}source", "", padded("bound by", ink.bound_by() + 2)) : "bound by";
  return ink.dim(line) + "\n";
}

std::string line_text(const Line& line, std::size_t names, Seconds total, double longest, const Ink& ink) {
  const double share = line.exposed / total;
  const std::string hidden = line.hidden > 0.0005 * total ? format(line.hidden) : "-";
  const std::string drawn = bar(share / longest, 12);
  const std::string figures = fmt::format("  {}{:>10} {:>10} {:>6.1f} %  ", padded(elided(line.name, names), names),
                                          format(line.exposed), hidden, 100 * share);
  const std::string bound_by = brief(line.bound_by, ink.bound_by());
  if (!ink.wide) return figures + bound_by + "\n";
  return fmt::format("{}{}{}{}\n", figures, ink.bar(drawn) + std::string(13 - columns(drawn), ' '),
                     padded(bound_by, ink.bound_by() + 2), name(line.source));
}

std::string lines_text(std::vector<Line> lines, Seconds total, const Ink& ink, std::size_t most) {
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.exposed > b.exposed; });
  std::string out = heading("where the time goes", ink.names(), ink);
  double longest = 1e-9;
  for (const Line& line : lines) longest = std::max(longest, line.exposed / total);
  Line rest{"the rest", {}, {}, "", Source::measured};
  std::size_t shown = 0;
  for (const Line& line : lines) {
    if (shown < most && (line.exposed > 0.0005 * total || line.hidden > 0.005 * total)) {
      out += line_text(line, ink.names(), total, longest, ink);
      ++shown;
    } else {
      rest.exposed += line.exposed;
      rest.hidden += line.hidden;
      rest.source = weakest(rest.source, line.source);
    }
  }
  // Many small things: a bar would make them look like one large one.
  if (rest.exposed > Seconds{}) out += line_text(rest, ink.names(), total, 1e9, ink);
  return out;
}

std::string held_by(const TrainEvaluation& train) {
  struct Share {
    std::string_view name;
    Seconds exposed;
  };
  std::vector<Share> shares;
  for (const BreakdownRow& row : train.breakdown.rows()) {
    auto found = std::find_if(shares.begin(), shares.end(), [&](const Share& s) { return s.name == row.name; });
    if (found == shares.end()) found = shares.insert(shares.end(), {row.name, {}});
    found->exposed += row.exposed;
  }
  std::sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) { return a.exposed > b.exposed; });
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, shares.size()); ++i) {
    out += fmt::format("{}{} {:.0f} %", i > 0 ? " · " : "", shares[i].name, 100 * (shares[i].exposed / train.step.value));
  }
  return out;
}

std::string memory_line(const TrainEvaluation& train, const Ink& ink) {
  const double share = train.memory.total() / train.memory_available;
  const auto largest = std::max_element(train.memory.parts.begin(), train.memory.parts.end(),
                                        [](const MemoryPart& a, const MemoryPart& b) { return a.bytes < b.bytes; });
  std::string drawn = bar(share, 20);
  for (std::size_t i = columns(drawn); i < 20; ++i) drawn += "░";
  const std::string what = train.wafer ? "largest" : fmt::format("stage {} binds", train.memory_stage);
  return fmt::format("  memory   {} of {}  {}  {} ({} {})\n", format(train.memory.total()),
                     format(train.memory_available), ink.bar(drawn), what, largest->name, format(largest->bytes));
}

// What the machine draws, and what talking costs: a GPU's network, a wafer's streams.
std::string power_line(const TrainEvaluation& train) {
  const Seconds all = train.communication, exposed = train.exposed_communication;
  std::string out =
      fmt::format("  power    {} tok/s/kW at {} a device",
                  format_count(std::llround(train.tokens_per_second_per_kilowatt)), format(train.power_per_device));
  if (all > Seconds{}) {
    out += fmt::format("; {} exposed {:.1f} % of the step ({:.0f} % of its time hidden)",
                       train.wafer ? "streaming" : "network", 100 * (exposed / train.step.value),
                       100 * (1 - exposed / all));
  }
  return out + "\n";
}

// Only where the machine has a price.
std::string cost_line(const Bill& bill) {
  if (!bill.money) return "";
  std::string out = fmt::format("  cost     {:.4g} {} a step, {:.4g} per million tokens", *bill.money, bill.currency,
                                *bill.money_per_million_tokens());
  if (bill.energy) out += fmt::format("; {:.4g} kWh a step", bill.energy->in(kilowatt_hour));
  return out + "\n";
}

std::string wafer_lines_text(const WaferAnswer& wafer) {
  std::string out = fmt::format(
      "  balance  {} tokens a micro-batch; dense models need {}, this one {}", format_count(std::llround(wafer.tokens)),
      format_count(std::llround(wafer.break_even_dense)), format_count(std::llround(wafer.break_even_model)));
  if (wafer.expert_tokens) {
    out += fmt::format("; an expert has {} rows of {}", format_count(std::llround(*wafer.expert_tokens)),
                       format_count(std::llround(*wafer.break_even_expert)));
  }
  return out + fmt::format("\n  bound by {}\n", wafer.binds);
}

std::string goodput_line(const Goodput& g) {
  std::string out = fmt::format("  goodput  {:.1f} % of the time trains: a failure every {}, a checkpoint of {} every {}{}", 100 * g.effective,
                                format(g.between_failures), format(g.checkpoint_time), format(g.interval), g.interval_given ? "" : " (best)");
  if (g.run) out += fmt::format("; {:.1f} days, {} device hours", g.run->in(second) / 86400, format_count(std::llround(g.device_hours)));
  return out + "\n";
}

std::string train_screen(const TrainEvaluation& train, const Scenario& scenario, const Ink& ink) {
  const bool floor = !(train.step.p10 < train.step.value);
  const std::string range = floor ? fmt::format("at least, up to {}", format(train.step.p90))
                                  : fmt::format("{} .. {}", format(train.step.p10), format(train.step.p90));
  const std::string_view device = train.wafer ? "wafer" : "GPU";
  std::string out = fmt::format(
      "  step     {}   {}   {} tok/s/{}   {} TFLOP/s/{}   MFU {:.1f} % of dense {}\n",
      ink.bold(format(train.step.value)), range, format_count(std::llround(train.tokens_per_second_per_device)), device,
      format_count(std::llround(train.model_rate.in(teraflop_per_second))), device, 100 * train.mfu, train.mfu_format);
  out += memory_line(train, ink);
  if (train.wafer) out += wafer_lines_text(*train.wafer);
  out += power_line(train);
  out += cost_line(bill(scenario, train));
  if (std::get<TrainWorkload>(scenario.workload).run) out += goodput_line(goodput(scenario, train));
  out += fmt::format("  held by  {}\n\n", held_by(train));
  std::vector<Line> lines;
  for (const BreakdownRow& row : train.breakdown.rows()) {
    const bool plain = row.phase == "pipeline" || row.phase == row.name;
    lines.push_back({plain ? std::string(row.name) : fmt::format("{} {}", row.name, row.phase), row.exposed,
                     row.seconds - row.exposed, row.bound_by, row.source});
  }
  return out + lines_text(lines, train.step.value, ink, 16);
}

std::string span_of(const Range& range) {
  const bool floor = !(range.p10 < range.value);
  return floor ? fmt::format("at least, up to {}", format(range.p90)) : fmt::format("{} .. {}", format(range.p10), format(range.p90));
}

std::string guesses_line(const DecodeRound& round) {
  if (round.drafted == 0) return "  guesses  none: drafting would take longer than it saves\n";
  std::string out = fmt::format("  guesses  {} tokens a round, {:.2f} of {} come out; {:.2f} x plain decoding; verification {} of {}",
                                round.drafted, round.tokens, round.drafted + 1, round.speedup(), format(round.verify), format(round.time));
  if (!round.fan_out.slots.empty()) {
    out += fmt::format("\n           {:.0f} slots of a cache hit {:.0f} %; after a miss {}", round.fan_out.total(), 100 * round.hit,
                       round.backup == Backup::draft ? "the draft anew" : "tokens at random");
  }
  return out + "\n";
}

std::string serve_screen(const ServeEvaluation& serve, const Scenario& scenario, const Ink& ink) {
  std::string out = fmt::format("  TTFT     {}   {}\n  TPOT     {}   {}   {:.1f} tok/s/user\n", ink.bold(format(serve.ttft.value)),
                                span_of(serve.ttft), ink.bold(format(serve.tpot.value)), span_of(serve.tpot),
                                serve.tokens_per_second_per_user);
  out += fmt::format("  rate     {} tok/s out, {} in   {} tok/s/GPU   {:.4g} requests/s\n",
                     format_count(std::llround(serve.tokens_per_second)), format_count(std::llround(serve.input_tokens_per_second)),
                     format_count(std::llround(serve.tokens_per_second_per_device)), serve.requests_per_second);
  if (serve.round) out += guesses_line(*serve.round);
  std::string drawn = bar(serve.memory.total() / serve.memory_available, 20);
  for (std::size_t i = columns(drawn); i < 20; ++i) drawn += "░";
  out += fmt::format("  memory   {} of {}  {}  weights {}, {} a request: room for {}\n", format(serve.memory.total()),
                     format(serve.memory_available), ink.bar(drawn), format(serve.memory.of("weights")), format(serve.kv_cache),
                     format_count(std::llround(serve.max_concurrency)));
  if (serve.money_per_million_tokens) {
    out += fmt::format("  cost     {:.4g} {} per million output tokens\n", *serve.money_per_million_tokens, scenario.cluster.price->currency);
  }
  for (const auto& [phase, title, total] : {std::tuple{Phase::decode, "a token", serve.tpot.value}, {Phase::prefill, "the first token", serve.ttft.value}}) {
    std::vector<Line> lines;
    for (const BreakdownRow& row : serve.breakdown.rows()) {
      if (row.phase == name(phase)) lines.push_back({std::string(row.name), row.exposed, row.seconds - row.exposed, row.bound_by, row.source});
    }
    out += fmt::format("\n  {}\n", ink.bold(title)) + lines_text(lines, total, ink, 12);
  }
  return out;
}

std::string label(const LayerRow& row) {
  return row.group == row.name ? fmt::format(" {}", row.name) : fmt::format(" {}: {}", row.group, row.name);
}

// Forward of the experts alone, under each of Hugging Face's backends.
std::string backends_text(const BackendsAnswer& answer, const Ink& ink) {
  std::string out = ink.dim(fmt::format("  {:<14}{:>10} {:>10} {:>10} {:>11} {:>11}  source", "backend", "time", "kernels", "host",
                                        "all-reduce", "temporary")) + "\n";
  for (const BackendRow& row : answer.rows) {
    const std::string sum = row.all_reduce > Seconds{} ? format(row.all_reduce) : "-", host = row.host > Seconds{} ? format(row.host) : "-";
    out += fmt::format("  {:<14}{:>10} {:>10} {:>10} {:>11} {:>11}  {}\n", name(row.backend), format(row.time), format(row.kernels),
                       host, sum, format(row.temporary), name(row.source));
  }
  out += "  fastest";
  for (const FastestFrom& from : answer.fastest) out += fmt::format("   from {:.0f} tokens {}", from.tokens, name(from.backend));
  return out + fmt::format("   (compile {})\n", name(answer.compile));
}

std::string layer_screen(const LayerEvaluation& layer, const Ink& ink) {
  std::string out = fmt::format("  forward  {}      backward  {}\n\n", ink.bold(format(layer.forward)),
                                ink.bold(format(layer.backward)));
  if (layer.wafer) out.insert(out.size() - 1, wafer_lines_text(*layer.wafer));
  const Seconds total = layer.forward + layer.backward;
  double longest = 1e-9;
  std::size_t names = ink.names();
  for (const LayerRow& row : layer.rows) {
    longest = std::max(longest, row.exposed / total);
    if (ink.wide) names = std::max(names, columns(label(row)) + 2);
  }
  out += heading("op", names, ink);
  std::string_view phase;
  for (const LayerRow& row : layer.rows) {
    if (row.phase != phase) out += ink.dim(fmt::format("  {}", phase = row.phase)) + "\n";
    out += line_text({label(row), row.exposed, row.cost.time - row.exposed, row.cost.bound_by, row.cost.source}, names, total,
                     longest, ink);
  }
  if (layer.backends) out += "\n" + backends_text(*layer.backends, ink);
  return out;
}

}  // namespace

std::string folded(const std::string& text, std::size_t width) {
  constexpr std::size_t kIndent = 11;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    while (columns(line) > width) {
      std::size_t cut = std::string::npos;
      for (std::size_t space = line.find(' ', kIndent); space != std::string::npos; space = line.find(' ', space + 1)) {
        if (columns(std::string_view(line).substr(0, space)) <= width) cut = space;
      }
      if (cut == std::string::npos || line.find_first_not_of(' ', cut) == std::string::npos) break;
      out += line.substr(0, line.find_last_not_of(' ', cut) + 1) + "\n";
      line = std::string(kIndent, ' ') + line.substr(line.find_first_not_of(' ', cut));
    }
    out += line + "\n";
  }
  return out;
}

std::string to_screen(const Evaluation& evaluation, const Scenario& scenario, const Terminal& terminal,
                      const std::vector<std::string>& help) {
  const Ink ink(terminal);
  std::string out = ink.bold(headline(evaluation, scenario)) + "\n";
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    out += train_screen(*train, scenario, ink);
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    out += serve_screen(*serve, scenario, ink);
  } else {
    out += layer_screen(std::get<LayerEvaluation>(evaluation.answer), ink);
  }
  out += "\n";
  if (!help.empty()) out += fmt::format("  what would help   {}\n", fmt::join(help, "   "));
  for (const Warning& warning : evaluation.warnings) {
    out += fmt::format("  {} {}: {}\n", ink.warn("!"), warning.message, warning.advice);
  }
  out += ink.dim(fmt::format("  {} assumptions in force; -o json lists them", evaluation.assumptions.size())) + "\n";
  return ink.wide ? out : folded(out, static_cast<std::size_t>(terminal.width));
}

}  // namespace moeline
