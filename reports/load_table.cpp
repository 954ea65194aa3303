#include "reports/load_table.hpp"

#include <fmt/format.h>

#include "spec/json.hpp"
#include "spec/reader.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

std::string order(const LoadPlan& plan) {
  if (plan.loader == Loader::v4) return plan.ahead ? "threads" : "one by one";
  return plan.ahead ? "read ahead" : "in turn";
}

}  // namespace

std::string load_text(const std::vector<LoadRow>& rows, const ModelSpec& model, const Cluster& cluster) {
  std::string out = fmt::format("{} · {} onto {} x {}\n\n  loader  placement        order          time       read       copy"
                                "       pack  device peak  host peak\n",
                                model.name, format(checkpoint_bytes(model)), cluster.devices, cluster.name);
  for (const LoadRow& row : rows) {
    out += fmt::format("  {:<7} {:<16} {:<10} ", name(row.plan.loader), name(row.plan.placement), order(row.plan));
    if (const LoadAnswer* a = std::get_if<LoadAnswer>(&row.outcome)) {
      out += fmt::format("{:>8} {:>10} {:>10} {:>10} {:>12} {:>10}\n", format(a->time), format(a->read), format(a->copy),
                         format(a->pack), format(a->device_peak), format(a->host_peak));
    } else {
      out += fmt::format("  {}\n", std::get<Infeasible>(row.outcome).reason);
    }
  }
  return out + "\n  rates inferred from one published benchmark on 8 x A100; a colder page cache: --storage '7 GB/s'\n";
}

Json load_json(const std::vector<LoadRow>& rows, const ModelSpec& model, const Cluster& cluster) {
  Json out{{"kind", "load"}, {"model", model.name}, {"hardware", cluster.name}, {"devices", cluster.devices},
           {"checkpoint_bytes", checkpoint_bytes(model).in(byte)}, {"source", "assumed"}, {"plans", Json::array()}};
  for (const LoadRow& row : rows) {
    Json plan{{"loader", name(row.plan.loader)}, {"placement", name(row.plan.placement)}, {"ahead", row.plan.ahead}};
    if (const LoadAnswer* a = std::get_if<LoadAnswer>(&row.outcome)) {
      plan["feasible"] = true;
      plan["load_time_seconds"] = a->time.in(second);
      plan["read_seconds"] = a->read.in(second);
      plan["copy_seconds"] = a->copy.in(second);
      plan["host_copy_seconds"] = a->host_copy.in(second);
      plan["pack_seconds"] = a->pack.in(second);
      plan["device_peak_bytes"] = a->device_peak.in(byte);
      plan["host_peak_bytes"] = a->host_peak.in(byte);
    } else {
      const Infeasible& why = std::get<Infeasible>(row.outcome);
      plan["feasible"] = false;
      plan["reason"] = why.reason;
      plan["advice"] = why.advice;
    }
    out["plans"].push_back(std::move(plan));
  }
  return out;
}

}  // namespace moeline
