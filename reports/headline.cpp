#include <fmt/format.h>

#include "reports/report.hpp"

namespace moeline {
namespace {

// "streaming G64 x B1": how a wafer cuts its batch.
std::string tiling(const WaferAnswer& wafer) {
  if (wafer.mode == WaferMode::resident) return "resident";
  return fmt::format("streaming G{:.0f} x B{}", wafer.plan.tiles(), wafer.plan.tile);
}

// "tp8 ep8 · 1,024 in, 1,024 out, 64 at a time · vllm"
std::string serving_words(const ServeWorkload& w) {
  const auto cut = [](const ServeLayout& l) {
    std::string text = fmt::format("tp{}", l.tp);
    for (const auto& [key, degree] : {std::pair{"dp", l.dp}, {"pp", l.pp}, {"ep", l.ep}, {"etp", l.etp}}) {
      if (degree > 1) text += fmt::format(" {}{}", key, degree);
    }
    return text;
  };
  std::string line = " · ";
  if (w.mode == ServeMode::disaggregated) {
    line += fmt::format("{} x ({}) prefill, {} x ({}) decode", w.prefill.workers, cut(w.prefill.layout), w.decode.workers, cut(w.decode.layout));
  } else {
    line += cut(w.decode.layout);
  }
  line += fmt::format(" · {} in, {} out, ", format_count(w.input), format_count(w.output));
  line += w.request_rate ? fmt::format("{:.4g} requests/s", *w.request_rate) : fmt::format("{} at a time", format_count(w.concurrency));
  return line + fmt::format(" · {}", name(w.stack));
}

}  // namespace

std::string headline(const Evaluation& evaluation, const Scenario& s) {
  const double billions = static_cast<double>(parameters(s.model).main) / 1e9;
  const std::string size = billions < 999.5 ? fmt::format("{:.3g}B", billions) : fmt::format("{:.3g}T", billions / 1e3);
  std::string line = fmt::format("{} {} · {} x {} · {}", s.model.name, size, s.cluster.devices, s.cluster.name,
                                 s.recipe.name);
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    const Parallelism& p = train->parallelism;
    const TrainWorkload& w = std::get<TrainWorkload>(s.workload);
    if (train->wafer) {
      return line + fmt::format(" · {} · {} sequences x {} tokens", tiling(*train->wafer), format_count(w.global_batch),
                                format_count(w.sequence));
    }
    line += fmt::format(" · tp{} pp{}", p.tp, p.pp);
    if (p.vpp > 1) line += fmt::format(" vpp{}", p.vpp);
    if (p.cp > 1) line += fmt::format(" cp{}", p.cp);
    if (p.ep > 1) line += fmt::format(" ep{}", p.ep);
    if (p.etp > 1) line += fmt::format(" etp{}", p.etp);
    line += fmt::format(" dp{} · {} sequences x {} tokens", p.dp, format_count(w.global_batch), format_count(w.sequence));
  } else if (std::holds_alternative<ServeEvaluation>(evaluation.answer)) {
    line += serving_words(std::get<ServeWorkload>(s.workload));
  } else {
    if (std::holds_alternative<Gpu>(s.cluster.device)) line += fmt::format(" · ep{}", s.parallelism.ep);
    line += fmt::format(" · one {}, {} tokens per device", std::get<LayerEvaluation>(evaluation.answer).kind,
                        format_count(std::get<LayerWorkload>(s.workload).tokens));
  }
  return line;
}

}  // namespace moeline
