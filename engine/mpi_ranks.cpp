// libmoeline_mpi.so: messages between ranks over MPI. They never block, so that a rank that died holds up nobody; what
// ranks exchange to be timed does.
#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <numeric>
#include <vector>

#include "engine/ranks.hpp"
#include "engine/run_failed.hpp"
#include "validate/backend.hpp"

namespace moeline {
namespace {

constexpr std::size_t kHead = 1 + 2 * sizeof(std::uint64_t);  // kind, first, last; all ranks are of one architecture

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw RunFailed(std::string(call) + ": " + text);
}

std::vector<char> packed(const Message& message) {
  std::vector<char> bytes(kHead + message.text.size());
  bytes[0] = message.kind;
  std::memcpy(bytes.data() + 1, &message.first, sizeof message.first);
  std::memcpy(bytes.data() + 1 + sizeof message.first, &message.last, sizeof message.last);
  std::copy(message.text.begin(), message.text.end(), bytes.begin() + kHead);
  return bytes;
}

Message unpacked(const std::vector<char>& bytes, int from) {
  Message message{.kind = bytes[0], .text = std::string(bytes.begin() + kHead, bytes.end()), .from = from};
  std::memcpy(&message.first, bytes.data() + 1, sizeof message.first);
  std::memcpy(&message.last, bytes.data() + 1 + sizeof message.first, sizeof message.last);
  return message;
}

class MpiPeers final : public Peers {
 public:
  explicit MpiPeers(int count) {
    std::vector<int> ranks(static_cast<std::size_t>(count));
    std::iota(ranks.begin(), ranks.end(), 0);
    MPI_Group all = MPI_GROUP_NULL, first = MPI_GROUP_NULL;
    MPI_Comm_group(MPI_COMM_WORLD, &all);
    MPI_Group_incl(all, count, ranks.data(), &first);
    check(MPI_Comm_create_group(MPI_COMM_WORLD, first, 0, &ranks_), "MPI_Comm_create_group");
    MPI_Group_free(&first);
    MPI_Group_free(&all);
  }
  void meet() override { check(MPI_Barrier(ranks_), "MPI_Barrier"); }
  void all_to_all(const Blocks& sent, const Blocks& received) override {
    check(MPI_Alltoallv(sent.data, sent.bytes.data(), sent.first.data(), MPI_BYTE, received.data, received.bytes.data(),
                        received.first.data(), MPI_BYTE, ranks_),
          "MPI_Alltoallv");
  }

 private:
  MPI_Comm ranks_ = MPI_COMM_NULL;  // until MPI_Finalize
};

// "Open MPI v4.1.4, package: ..." up to the comma; MPICH's goes over many lines.
std::string library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version = text;
  return version.substr(0, version.find_first_of(",\n"));
}

class MpiRanks final : public Ranks {
 public:
  MpiRanks() {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm machine = MPI_COMM_NULL;
    check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine), "MPI_Comm_split_type");
    MPI_Comm_size(machine, &here);
    MPI_Comm_free(&machine);
    library = library_version();
  }

  ~MpiRanks() override {
    if (left_) return;
    for (Transfer& sending : sending_) MPI_Wait(&sending.request, MPI_STATUS_IGNORE);
    MPI_Finalize();
  }

  void send(int to, Message message) override {
    sending_.remove_if([](Transfer& sent) { return done(sent) != Progress::under_way; });
    Transfer& sending = sending_.emplace_back(packed(message), to);
    MPI_Isend(sending.bytes.data(), static_cast<int>(sending.bytes.size()), MPI_BYTE, to, 0, MPI_COMM_WORLD,
              &sending.request);
  }

  std::optional<Message> poll() override {
    begin_to_receive();
    for (auto receiving = receiving_.begin(); receiving != receiving_.end(); ++receiving) {
      const Progress progress = done(*receiving);
      if (progress == Progress::under_way) continue;
      const Transfer transfer = std::move(*receiving);
      receiving_.erase(receiving);
      if (progress == Progress::lost) return std::nullopt;  // its sender died in the middle
      return unpacked(transfer.bytes, transfer.rank);
    }
    return std::nullopt;
  }

  void leave() override { left_ = true; }

  Peers& first(int count) override { return peers_.try_emplace(count, count).first->second; }

 private:
  struct Transfer {
    Transfer(std::vector<char> content, int other) : bytes(std::move(content)), rank(other) {}
    std::vector<char> bytes;
    int rank;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  enum class Progress { under_way, arrived, lost };

  static Progress done(Transfer& transfer) {
    int finished = 0;
    if (MPI_Test(&transfer.request, &finished, MPI_STATUS_IGNORE) != MPI_SUCCESS) return Progress::lost;
    return finished != 0 ? Progress::arrived : Progress::under_way;
  }

  void begin_to_receive() {
    int arrived = 0;
    MPI_Message handle{};
    MPI_Status status{};
    check(MPI_Improbe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &arrived, &handle, &status), "MPI_Improbe");
    if (arrived == 0) return;
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    Transfer& receiving =
        receiving_.emplace_back(std::vector<char>(static_cast<std::size_t>(bytes)), status.MPI_SOURCE);
    MPI_Imrecv(receiving.bytes.data(), bytes, MPI_BYTE, &handle, &receiving.request);
  }

  std::list<Transfer> sending_, receiving_;
  std::map<int, MpiPeers> peers_;
  bool left_ = false;
};

}  // namespace
}  // namespace moeline

extern "C" __attribute__((visibility("default"))) moeline::Ranks* moeline_ranks() { return new moeline::MpiRanks; }
