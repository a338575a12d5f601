// A connection to PostgreSQL: plain, blocking libpq, which knows nothing of fibers.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

class PostgresError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Postgres {
 public:
  using Row = std::vector<std::string>;  // as PostgreSQL writes the values; NULL is empty

  explicit Postgres(const std::string& address) : connection_(PQconnectdb(address.c_str())) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) fail();
    // "… already exists, skipping" and the like: for people at a terminal.
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
  }

  // One statement, with its $1, $2… Waits for the server.
  std::vector<Row> query(const std::string& sql, const std::vector<std::string>& parameters = {}) {
    // A connection that was lost in the last query is made anew for this one.
    if (PQstatus(connection_.get()) != CONNECTION_OK) PQreset(connection_.get());
    std::vector<const char*> values;
    for (const auto& parameter : parameters) values.push_back(parameter.c_str());
    const std::unique_ptr<PGresult, Clear> result(
        PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                     values.data(), nullptr, nullptr, 0));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail();
    std::vector<Row> rows(static_cast<size_t>(PQntuples(result.get())));
    for (int r = 0; r < PQntuples(result.get()); ++r) {
      for (int c = 0; c < PQnfields(result.get()); ++c) {
        rows[static_cast<size_t>(r)].emplace_back(PQgetvalue(result.get(), r, c));
      }
    }
    return rows;
  }

 private:
  [[noreturn]] void fail() const {
    std::string message = PQerrorMessage(connection_.get());
    throw PostgresError(message.substr(0, message.find('\n')));
  }

  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGconn, Finish> connection_;
};
