#include "fit/mnnvl_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {
namespace {

enum At : std::size_t { launch, doubling, token, link, decay, row, channel_bandwidth, overlap };

constexpr double kChoiceBytes = 8;  // expert id and weight
constexpr double kFp4 = 0.5 + 1.0 / 16;

// A one-sided combine reads the peers' memory itself: no channel (taken out rather than pinned).
std::vector<Parameter> parameters(const FamilyKey& key) {
  std::vector<Parameter> list{{"launch", "us", 11, 2, 40},
                              {"doubling", "us per doubling of ranks", 1.5, 0.01, 8},
                              {"token", "ns", 3, 0.01, 200},
                              {"link", "of the link", 0.72, 0.1, 1},
                              {"decay", "per 8 ranks", 0.02, 0.0005, 0.3},
                              {"row", "ns per row and tensor", 8, 0.01, 300},
                              {"channel_bandwidth", "GB/s per peer", 400, 30, 3000},
                              {"overlap", "exponent", 4, 1, 10}};
  if (key.library == "trtllm-one-sided" && key.operation == "mnnvl_combine") list.resize(At::row);
  return list;
}

struct Family {
  BytesPerSecond link;
  std::vector<MnnvlExchange> rows;
};

bool combines(std::string_view operation) { return operation.find("combine") != std::string_view::npos; }

FamilyKey key_of(const Csv& csv, std::size_t i) {
  const std::string_view operation = csv.text(i, "op");
  const bool one_sided = csv.text(i, "kernel") == "NVLinkOneSided";
  const std::string_view dtype = !combines(operation) ? (one_sided ? "nvfp4" : "all")
                                 : operation.ends_with("low_precision") ? "nvfp4" : "bf16";
  return {"gb200-nvl72", "mnnvl" + std::string(operation.substr(std::string_view("alltoall").size())),
          one_sided ? "trtllm-one-sided" : "trtllm-two-sided", std::string(dtype)};
}

std::optional<MnnvlExchange> exchange_at(const Csv& csv, std::size_t i) {
  const auto tokens = csv.number(i, "tokens_per_rank"), hidden = csv.number(i, "hidden_size"),
             k = csv.number(i, "topk"), ranks = csv.number(i, "ep");
  if (!tokens || !hidden || !k || !ranks) return std::nullopt;
  const std::string_view operation = csv.text(i, "op"), dtype = csv.text(i, "dtype");
  MnnvlExchange exchange;
  exchange.tokens = *tokens;
  exchange.ranks = *ranks;
  exchange.ranks_hit = std::min(*k, *ranks);
  if (combines(operation)) {
    exchange.row = mnnvl_combine_row(*hidden, operation.ends_with("low_precision") ? kFp4 : 2);
  } else {
    exchange.row = mnnvl_dispatch_row(*hidden, dtype == "nvfp4" ? kFp4 : dtype == "fp8" ? 1 : 2, *k);
    if (dtype == "nvfp4") exchange.tensors = 2;
  }
  return exchange;
}

double predicted_us(const Family& family, std::span<const double> v, std::size_t index) {
  return mnnvl_terms(family.rows[index], mnnvl_fit({v.begin(), v.end()})).time.in(microsecond);
}

}  // namespace

Bytes mnnvl_dispatch_row(double hidden, double bytes_per_element, double top_k) {
  return (hidden * bytes_per_element + top_k * kChoiceBytes) * byte;
}
Bytes mnnvl_combine_row(double hidden, double bytes_per_element) { return hidden * bytes_per_element * byte; }

MnnvlFit mnnvl_fit(const std::vector<double>& v) {
  MnnvlFit fit;
  fit.launch = v[At::launch] * microsecond;
  fit.doubling = v[At::doubling] * microsecond;
  fit.token = v[At::token] * nanosecond;
  fit.link = v[At::link];
  fit.decay = v[At::decay];
  if (v.size() > At::row) {
    fit.row = v[At::row] * nanosecond;
    fit.channel_byte = 1 * second / (v[At::channel_bandwidth] * gigabyte);
    fit.overlap = v[At::overlap];
  }
  fit.source = Source::fitted;
  return fit;
}

bool is_mnnvl_csv(const Csv& csv) {
  return csv.has_all({"gpu", "kernel", "op", "dtype", "tokens_per_rank", "hidden_size", "topk", "ep", "distribution",
                      "latency_us"});
}

std::vector<FamilyData> mnnvl_families(const Csv& csv) {
  std::map<FamilyKey, std::pair<std::shared_ptr<Family>, FamilyData>> families;
  const Document profile = find_hardware("gb200-nvl72", "measurements");
  const BytesPerSecond bandwidth = device_bandwidth(read_cluster(profile.json, profile.origin).fabric.front());
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const FamilyKey key = key_of(csv, i);
    auto& [family, data] = families[key];
    if (!family) {
      family = std::make_shared<Family>(Family{bandwidth, {}});
      data.key = key;
      data.parameters = parameters(key);
    }
    std::optional<MnnvlExchange> exchange = exchange_at(csv, i);
    const std::optional<double> t = csv.number(i, "latency_us");
    if (csv.text(i, "op") == "alltoall_prepare") {
      ++data.skipped["preparation: counts only, before the exchange"];
    } else if (!exchange || !t || !(*t > 0)) {
      ++data.skipped["missing value"];
    } else if (exchange->tokens <= 1) {
      ++data.skipped["one token a rank: cold rows"];
    } else {
      exchange->link = bandwidth;
      data.observations.measured.push_back(*t);
      data.group.push_back(static_cast<int>(std::log2(exchange->ranks)));
      data.size.push_back(exchange->tokens);
      family->rows.push_back(*exchange);
    }
  }
  std::vector<FamilyData> list;
  for (auto& [key, entry] : families) {
    auto& [family, data] = entry;
    if (family->rows.empty()) {
      list.push_back(std::move(data));
      continue;
    }
    data.domain = fmt::format("EP 2..64, hidden 7168, top-k 8, tokens 2..{:.0f}",
                              std::ranges::max(family->rows, {}, &MnnvlExchange::tokens).tokens);
    data.observations.predicted = [rows = family](std::span<const double> v, std::size_t index) {
      return predicted_us(*rows, v, index);
    };
    list.push_back(std::move(data));
  }
  return list;
}

}  // namespace moeline
