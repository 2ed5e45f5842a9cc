/// What a launcher's environment promises: this process is one of several ranks.
package struct Launch: Sendable, Equatable {
    /// Who started the ranks.
    package enum Launcher: Sendable, Equatable {
        /// Open MPI's mpirun.
        case openMPI
        /// The mpirun of MPICH and its relatives (hydra), or whoever speaks its PMI.
        case mpich
        /// Slurm's srun.
        case slurm

        /// For messages.
        package var name: String {
            switch self {
            case .openMPI: "Open MPI's mpirun"
            case .mpich: "MPICH's mpirun"
            case .slurm: "srun"
            }
        }

        /// Variables with the number of ranks and this one's.
        fileprivate var variables: (count: String, rank: String) {
            switch self {
            case .openMPI: ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")
            case .mpich: ("PMI_SIZE", "PMI_RANK")
            case .slurm: ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")
            }
        }

        /// How a rank gets all of its host's cores.
        var bindingHint: String {
            switch self {
            case .openMPI: "start with mpirun --bind-to none"
            case .mpich: "start with mpirun -bind-to none"
            case .slurm: "start with srun --ntasks-per-node=1 --cpus-per-task=N for N CPUs"
            }
        }
    }

    /// Who started the ranks.
    package let launcher: Launcher
    /// This one's number, from 0.
    package let rank: Int
    /// 2 or more.
    package let count: Int

    /// nil where no launcher has started this process, or one that starts a single rank.
    ///
    /// SLURM_NTASKS is not looked at: shells of batch jobs have it too.
    package init?(environment: [String: String]) {
        for launcher in [Launcher.openMPI, .mpich, .slurm] {
            let (count, rank) = launcher.variables
            guard let count = environment[count].flatMap(Int.init) else { continue }
            guard count > 1 else { return nil }
            self.launcher = launcher
            self.count = count
            self.rank = environment[rank].flatMap(Int.init) ?? 0
            return
        }
        return nil
    }

    /// The same error on all ranks before they can talk; the first one says it.
    func error(_ message: String) -> ClusterError {
        let text = "\(launcher.name) started \(count) ranks, but \(message)"
        return ClusterError(code: ClusterError.otherCode, message: rank == 0 ? text : nil)
    }

    /// An error that this rank's host alone may have, before ranks can talk.
    /// - Parameter host: the host's name.
    package func ownError(_ message: String, host: String) -> ClusterError {
        let text = "\(launcher.name) started \(count) ranks, but \(message)"
        let label = HostName(rank: rank, name: host).label
        return ClusterError(code: ClusterError.otherCode, message: rank == 0 ? text : "\(label): \(text)")
    }

    /// There is no MPI to be used at `path`.
    package func noMPI(_ path: String, _ reason: String, host: String) -> ClusterError {
        ownError(
            "this build has no MPI: \(path): \(reason). Hint: install libopenmpi-dev (or libmpich-dev) and build again; "
                + "FORETOKEN_MPI_PLUGIN names another libforetoken-mpi.so.", host: host)
    }

    /// MPI found another number of ranks than were started.
    /// - Parameters:
    ///   - found: how many.
    ///   - library: what MPI calls itself.
    package func wrongCount(_ found: Int, library: String) -> ClusterError {
        let isOpenMPI = library.hasPrefix("Open MPI")
        let own = isOpenMPI ? "mpirun.openmpi, or srun --mpi=pmix" : "mpirun.mpich, or srun --mpi=pmi2"
        return error(
            "libforetoken-mpi.so is built with another MPI (\(library)) and finds \(found): each would run alone. "
                + "Hint: start with \(own), or build the plugin with the launcher's MPI "
                + "(FORETOKEN_MPI=ompi-c or FORETOKEN_MPI=mpich before swift build).")
    }

    /// Why a rank with so few cores is refused; nil where it is not.
    /// - Parameters:
    ///   - cores: those that the process may use.
    ///   - all: the host's.
    package func bindingProblem(cores: Int, of all: Int) -> String? {
        guard cores == 1, all > 1 else { return nil }
        return "\(launcher.name) has bound it to one of its \(all) cores. Hint: \(launcher.bindingHint)."
    }
}
