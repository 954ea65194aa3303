// Where NCCL was not found when building.
#include "validate/comm/transport.hpp"

namespace moeline {

std::vector<std::string> nccl_transports(const ExchangeLayout&) { return {}; }
std::unique_ptr<Transport> make_nccl_transport(const std::string& library, const ExchangeLayout&, int) {
  throw HardwareError(library + ": built without NCCL");
}
std::string nccl_version() { return ""; }

}  // namespace moeline
