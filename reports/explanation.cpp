// The screen of `explain`.
#include "reports/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace moeline {
namespace {

// Smaller changes than this are not worth a line, nor smaller elasticities.
constexpr double kVisible = 5e-5, kVisibleSlope = 5e-4;

// Nothing has no sign.
std::string percent(double change, int places = 2) {
  const std::string text = fmt::format("{:+.{}f} %", 100 * change, places), nothing = fmt::format("{:.{}f} %", 0.0, places);
  return text.ends_with(nothing) && text.size() == nothing.size() + 1 ? nothing : text;
}
std::string served_column(const std::optional<double>& change) { return change ? fmt::format("{:>14}", percent(*change)) : ""; }

// A slope says nothing of a time that goes in steps, such as that of whole waves of tiles.
std::string slope_text(const Elasticity& e) {
  const double smooth = std::expm1(e.elasticity * std::log(1.1));
  const bool steps = e.input.kind == InputKind::count && std::abs(smooth - e.effect) > 0.5 * std::max(std::abs(smooth), std::abs(e.effect));
  return steps ? "in steps" : fmt::format("{:+.3f}", e.elasticity);
}

std::string value_text(double value) { return value == std::floor(value) ? format_count(std::llround(value)) : fmt::format("{:.4g}", value); }

std::string machine_text(const Explanation& e) {
  std::string out;
  std::vector<std::string> still;
  for (const Elasticity& i : e.elasticities) {
    if (i.input.kind == InputKind::workload) continue;
    const FirstToken first = i.first.value_or(FirstToken{});
    const double effect = std::max(std::abs(i.effect), std::abs(first.effect)), slope = std::max(std::abs(i.elasticity), std::abs(first.elasticity));
    if (effect < kVisible && slope < kVisibleSlope) {
      still.push_back(i.input.name);
      continue;
    }
    out += fmt::format("  {:<42}{:>16}{:>12}{:>12}{}\n", fmt::format("+10 % {}", i.input.name), i.input.value, percent(i.effect), slope_text(i),
                       served_column(i.first ? std::optional(i.first->effect) : std::nullopt));
  }
  if (!still.empty()) out += fmt::format("  no change by {}\n", fmt::join(still, ", "));
  return out;
}

std::string inputs_text(const Explanation& e) {
  const bool served = std::holds_alternative<ServeEvaluation>(e.evaluation.answer);
  const char *time = served ? "a token" : "time", *first = served ? "   first token" : "";
  std::string out = fmt::format("  {:<42}{:>16}{:>12}{:>12}{}\n", "change of an input", "now", time, "elasticity", first) + machine_text(e);
  out += fmt::format("\n  {:<42}{:>16}{:>12}{:>12}{}\n", "another question", "", time, "tokens/s", first);
  for (const Elasticity& i : e.elasticities) {
    if (i.input.kind != InputKind::workload) continue;
    const auto label = [&](double there) { return fmt::format("{} {} -> {}", i.input.name, i.input.value, value_text(there)); };
    for (const Neighbour& n : i.neighbours) {
      out += fmt::format("  {:<42}{:>16}{:>12}{:>12}{}\n", label(n.value), "", percent(n.time_change), percent(n.throughput_change),
                         served_column(n.ttft_change));
    }
    for (const RefusedNeighbour& n : i.refused) out += fmt::format("  {:<33} cannot run: {}\n", label(n.value), n.reason);
  }
  return out;
}

// "HBM 61 %, launch 12 %"
std::string holders_text(const std::vector<Holder>& holders, std::size_t most) {
  std::vector<std::string> list;
  for (const Holder& h : holders) {
    if (list.size() < most && h.share > 0.005) list.push_back(fmt::format("{} {:.0f} %", h.bound_by.substr(0, h.bound_by.find(',')), 100 * h.share));
  }
  return fmt::format("{}", fmt::join(list, ", "));
}

std::string without_text(const Explanation& e) {
  const bool served = std::holds_alternative<ServeEvaluation>(e.evaluation.answer);
  std::string out = fmt::format("\n  {:<42}{:>16}{:>12}{}   {}\n", "if it took no time", served ? "a token left" : "time left", "change",
                                served ? "   first token" : "", "held by then");
  for (const Free& f : e.without) {
    if (std::max(std::abs(f.change), std::abs(f.ttft_change.value_or(0))) < 10 * kVisible) continue;
    const std::string name = f.kind == "group" ? f.name : fmt::format("{} ({})", f.name, f.kind == "tier" ? "infinitely fast" : "free");
    out += fmt::format("  {:<42}{:>16}{:>12}{}   {}\n", name, format(f.time), percent(f.change), served_column(f.ttft_change),
                       holders_text(f.held_by, 2));
  }
  return out;
}

std::string refused_text(const std::vector<LayoutNeighbour>& neighbours) {
  std::string out;
  for (const LayoutNeighbour& n : neighbours) {
    if (!n.time_change) out += fmt::format("  {:<33} cannot run: {}\n", n.change.label, n.obstacle);
  }
  return out;
}

// Beside the figures as they are; what moves none of them is named.
std::string deployments_text(const Explanation& e, const ServedFigures& now) {
  std::string out = fmt::format("\n  {:<44}{:>18}{:>18}{:>18}\n", "deployments one step away", "a token", "first token", "tok/s a device");
  out += fmt::format("  {:<44}{:>9}{:>18}{:>18.4g}\n", "as it is", format(now.tpot), format(now.ttft), now.tokens_per_second_per_device);
  std::vector<std::string> still;
  for (const LayoutNeighbour& n : e.neighbours) {
    if (!n.served) continue;
    const double rate = n.served->tokens_per_second_per_device;
    const std::array changes{n.served->tpot / now.tpot - 1, n.served->ttft / now.ttft - 1, rate / now.tokens_per_second_per_device - 1};
    if (std::all_of(changes.begin(), changes.end(), [](double change) { return std::abs(change) < kVisible; })) {
      still.push_back(n.change.label);
      continue;
    }
    const auto in_percent = [&](std::size_t i) { return percent(changes.at(i), std::abs(changes.at(i)) < 1 ? 1 : 0); };
    out += fmt::format("  {:<44}{:>9}{:>9}{:>9}{:>9}{:>9.4g}{:>9}\n", n.change.label, format(n.served->tpot), in_percent(0), format(n.served->ttft),
                       in_percent(1), rate, in_percent(2));
  }
  if (!still.empty()) out += fmt::format("  no change by {}\n", fmt::join(still, ", "));
  return out + refused_text(e.neighbours);
}

std::string neighbours_text(const Explanation& e) {
  if (e.neighbours.empty()) return "";
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&e.evaluation.answer)) return deployments_text(e, figures_of(*serve));
  std::string out = fmt::format("\n  {:<42}{:>16}{:>12}\n", "layouts one step away", "memory", "time");
  for (const LayoutNeighbour& n : e.neighbours) {
    const std::string memory = n.memory > Bytes{} ? format(n.memory) : "";
    if (n.time_change) out += fmt::format("  {:<42}{:>16}{:>12}\n", n.change.label, memory, percent(*n.time_change));
  }
  return out + refused_text(e.neighbours);
}

std::string term_text(const Term& term) {
  const std::string name = std::string(term.name.substr(0, term.name.find(',')));
  if (term.unit == "seconds") return fmt::format("{} {}", name, format(term.value * second));
  if (term.unit == "bytes") return fmt::format("{} {}", name, format(term.value * byte));
  if (term.unit == "flops") return format(term.value * flop);
  const bool whole = term.value == std::floor(term.value) || std::abs(term.value) >= 1e4;
  return whole ? fmt::format("{} {:.0f}", name, term.value) : fmt::format("{} {:.4g}", name, term.value);
}

// The formula and those terms that are not zero, over as many lines as they take.
std::string terms_text(const Formula& formula) {
  std::string out, line = fmt::format("      {}:", formula.text);
  for (const Term& term : formula.terms) {
    if (term.value == 0) continue;
    const std::string text = term_text(term);
    if (line.size() + text.size() > 118) {
      out += line + "\n";
      line = "       ";
    }
    line += (line.find_first_not_of(' ') == std::string::npos || line.back() == ':' ? " " : " · ") + text;
  }
  return out + line + "\n";
}

std::string passes_text(const Explanation& e) {
  const std::vector<PassExplanation> passes = explained_passes(e.evaluation);
  if (passes.empty()) return "";
  std::string out = "\n  the passes of the wafer and what sets their time\n";
  for (const PassExplanation& pass : passes) {
    out += fmt::format("  {} of {}   {} x {:.0f} = {}   {}\n", pass.phase, pass.where, format(pass.time), pass.times,
                       format(pass.times * pass.time), pass.bound_by);
    out += terms_text(pass.formula);
  }
  return out;
}

std::string op_text(const OpExplanation& op) {
  const std::string times = op.times < 1000 ? fmt::format("{:.4g}", op.times) : fmt::format("{:.0f}", op.times);
  return fmt::format("  {}: {}, {} of {}   {} x {} = {}   {}, {}\n", op.group, op.name, op.phase, op.where, format(op.cost.time), times,
                     format(op.total()), op.cost.bound_by, name(op.cost.source)) +
         terms_text(op.formula);
}

// Of a deployment those of a token and those of the first one apart.
std::string ops_text(const Explanation& e) {
  const bool served = std::holds_alternative<ServeEvaluation>(e.evaluation.answer);
  std::string out;
  std::string_view phase;
  for (const OpExplanation& op : e.ops) {
    if (out.empty() || (served && op.phase != phase))
      out += fmt::format("\n  the longest ops{} and what they are made of (terms of zero left out)\n",
                         !served ? "" : op.phase == name(Phase::decode) ? " of a token" : " of the first token");
    phase = op.phase;
    out += op_text(op);
  }
  return out;
}

struct Help {
  std::string what;
  double change;  // relative
};

// Three at most; `sign`: of a change for the better.
std::vector<std::string> best_of(std::vector<Help> list, double sign) {
  std::stable_sort(list.begin(), list.end(), [&](const Help& a, const Help& b) { return sign * a.change > sign * b.change; });
  std::vector<std::string> best;
  for (const Help& help : list) {
    if (best.size() < 3 && sign * help.change > kVisible) best.push_back(fmt::format("{}: {:+.1f} %", help.what, 100 * help.change));
  }
  return best;
}

// `effect` of an input, if it has one, and `change` by a neighbour that runs.
template <class Effect, class Changed>
std::vector<std::string> best_by(const std::vector<Elasticity>& elasticities, const std::vector<LayoutNeighbour>& neighbours, const Effect& effect,
                                 const Changed& change) {
  std::vector<Help> list;
  for (const Elasticity& i : elasticities) {
    if (i.input.kind == InputKind::rate) list.push_back({fmt::format("+10 % {}", i.input.name), effect(i)});
    if (i.input.kind == InputKind::latency) list.push_back({fmt::format("-10 % {}", i.input.name), -effect(i)});
  }
  for (const LayoutNeighbour& n : neighbours) {
    if (n.time_change && n.change.choice) list.push_back({n.change.label, change(n)});
  }
  return best_of(std::move(list), -1);
}

std::string or_none(const std::vector<std::string>& best) {
  return best.empty() ? "no input alone" : fmt::format("{}", fmt::join(best, "   "));
}

}  // namespace

std::vector<std::string> best_changes(const std::vector<Elasticity>& elasticities, const std::vector<LayoutNeighbour>& neighbours) {
  return best_by(elasticities, neighbours, [](const Elasticity& i) { return i.effect; }, [](const LayoutNeighbour& n) { return *n.time_change; });
}

namespace {

// How much of the step goes if every rank has equal rows.
std::string imbalance_text(const std::vector<LayoutNeighbour>& neighbours) {
  for (const LayoutNeighbour& n : neighbours) {
    if (n.change.label == "balanced routing" && n.time_change)
      return fmt::format("  imbalance   {:.1f} % of the step: time with this routing less balanced\n", -100 * *n.time_change);
  }
  return "";
}

// Three figures, three ways to be helped.
std::string served_help_text(const Explanation& e, const ServedFigures& now) {
  const auto first = best_by(e.elasticities, e.neighbours, [](const Elasticity& i) { return i.first->effect; },
                             [&](const LayoutNeighbour& n) { return n.served->ttft / now.ttft - 1; });
  std::vector<Help> rates;
  for (const LayoutNeighbour& n : e.neighbours) {
    if (!n.served || !n.change.choice) continue;
    rates.push_back({n.change.label, n.served->tokens_per_second_per_device / now.tokens_per_second_per_device - 1});
  }
  return fmt::format("  what would help   a token           {}\n                    the first token   {}\n                    tokens/s a device {}\n\n",
                     or_none(best_changes(e.elasticities, e.neighbours)), or_none(first), or_none(best_of(std::move(rates), 1)));
}

}  // namespace

std::string explanation_text(const Explanation& e) {
  std::string out = headline(e.evaluation, e.scenario) + "\n";
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&e.evaluation.answer)) {
    const Bytes left = train->memory_available - train->memory.total();
    out += fmt::format("  step     {}   MFU {:.1f} %\n", format(train->step.value), 100 * train->mfu);
    out += fmt::format("  memory   {} left of {} ({:.0f} %){}\n", format(left),
                       format(train->memory_available), 100 * (left / train->memory_available),
                       train->wafer ? "" : fmt::format(", stage {} binds", train->memory_stage));
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&e.evaluation.answer)) {
    out += fmt::format("  token    {}   {:.4g} tok/s a user   {:.4g} tok/s a device   the first after {}\n", format(serve->tpot.value),
                       serve->tokens_per_second_per_user, serve->tokens_per_second_per_device, format(serve->ttft.value));
    out += fmt::format("  memory   room for {} requests, {:.4g} decode at a time; prompts take {:.0f} % of the time\n",
                       format_count(std::llround(serve->max_concurrency)), serve->decoding, 100 * serve->utilisation);
  } else {
    out += fmt::format("  layer    {} forward and backward\n", format(answer_time(e.evaluation)));
  }
  const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&e.evaluation.answer);
  out += fmt::format("  held by  {}\n", holders_text(held_by(e.evaluation), 5));
  if (serve != nullptr) out += fmt::format("  the first by  {}\n", holders_text(first_token_held_by(*serve), 5));
  else out += imbalance_text(e.neighbours);
  out += serve != nullptr ? served_help_text(e, figures_of(*serve))
                          : fmt::format("  what would help   {}\n\n", or_none(best_changes(e.elasticities, e.neighbours)));
  return out + inputs_text(e) + without_text(e) + neighbours_text(e) + passes_text(e) + ops_text(e);
}

}  // namespace moeline
