DO UPDATE
    SET
        {assignments}
    WHERE
        row({theirs})
        IS DISTINCT FROM row({excluded})
